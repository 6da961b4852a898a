import { initTRPC, type TRPCError } from "@trpc/server";
import { asc } from "drizzle-orm";

import type { Database } from "./database.js";
import { Aggregate, ByUnit, Evaluate, Ingest, Recent, Repeat, toRow } from "./input.js";
import { log } from "./log.js";
import * as metrics from "./metrics.js";
import { ingest, prepareReads, repeat } from "./readings.js";
import { units } from "./schema.js";

/** The error of the server beneath a failed query: node-postgres's, or that of the connection. */
function serverError(error: TRPCError): { code?: string; message?: string } {
  const query = error.cause;
  return (query?.cause ?? query ?? error) as { code?: string; message?: string };
}

const t = initTRPC.create({
  isDev: false,
  // Drizzle's message has the statement and its values: a user gets the SQLSTATE instead.
  errorFormatter: ({ shape, error }) =>
    error.code === "INTERNAL_SERVER_ERROR" ? { ...shape, message: `SQLSTATE ${serverError(error).code}` } : shape,
});

/** Count and time every call; an error is one line of the log with its SQLSTATE. */
const observed = t.procedure.use(async ({ path, next }) => {
  const stop = metrics.seconds.startTimer({ procedure: path });
  const result = await next();
  stop();

  metrics.calls.inc({ procedure: path, result: result.ok ? "ok" : result.error.code });
  if (!result.ok && result.error.code === "INTERNAL_SERVER_ERROR") {
    const { code, message } = serverError(result.error);
    log.error({ procedure: path, sqlstate: code, reason: message }, "a call failed");
  }
  return result;
});

/** Build the procedures on a database. */
export function createRouter(database: Database) {
  const reads = prepareReads(database);
  const count = <T>(rows: T[]) => {
    metrics.inserted.inc(rows.length);
    return { inserted: rows };
  };

  return t.router({
    units: t.router({
      list: observed.query(() => database.select().from(units).orderBy(asc(units.name))),
    }),
    readings: t.router({
      recent: observed
        .input(Recent)
        .query(({ input }) => reads.recent.execute({ ...input, to: input.to ?? "infinity" })),
      byUnit: observed.input(ByUnit).query(({ input }) => reads.byUnit.execute(input)),
      aggregate: observed.input(Aggregate).query(({ input }) => reads.aggregate.execute(input)),
      ingest: observed
        .input(Ingest)
        .mutation(async ({ input }) => count(await ingest(database, input.readings.map(toRow)))),
      repeat: observed
        .input(Repeat)
        .mutation(async ({ input }) => count(await repeat(database, input.readings.map(toRow)))),
    }),
    alerts: t.router({
      evaluate: observed.input(Evaluate).query(({ input }) => reads.alerts.execute(input)),
    }),
  });
}

export type AppRouter = ReturnType<typeof createRouter>;
