import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import pg from "pg";

import { log } from "./log.js";
import * as schema from "./schema.js";

export type Database = NodePgDatabase<typeof schema>;

export interface Connected {
  pool: pg.Pool;
  database: Database;
}

/** Open a pool with the limits of an ordinary backend: nothing in it is made for a migration. */
export function connect(url: string, size: number): Connected {
  const pool = new pg.Pool({
    connectionString: url,
    max: size,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 10_000,
    application_name: "sensor-backend",
    options: "-c TimeZone=UTC -c DateStyle=ISO",
  });
  // Without a listener a lost idle connection would end the process.
  pool.on("error", (error) => log.error({ err: error }, "an idle connection was lost"));
  return { pool, database: drizzle(pool, { schema }) };
}
