import { and, asc, between, desc, eq, gte, lt, not, or, sql } from "drizzle-orm";

import type { Database } from "./database.js";
import { readings } from "./schema.js";

export type NewReading = typeof readings.$inferInsert;

const COLDEST = "-5";
const WARMEST = "8";
const LOWEST_BATTERY = 10;

const given = {
  unitId: sql.placeholder("unitId"),
  from: sql.placeholder("from"),
  to: sql.placeholder("to"),
  limit: sql.placeholder("limit"),
};

/**
 * Prepare the reads as named statements: each connection of the pool parses them once, and keeps their plans.
 *
 * A swap of the table invalidates these plans. PostgreSQL parses the statement again by the table's name, and fails with
 * "cached plan must not change result type" if the columns of the new table differ.
 */
export function prepareReads(database: Database) {
  const closed = and(
    eq(readings.unitId, given.unitId),
    gte(readings.recordedAt, given.from),
    lt(readings.recordedAt, given.to),
  );

  const recent = database
    .select()
    .from(readings)
    .where(and(eq(readings.unitId, given.unitId), lt(readings.recordedAt, given.to)))
    .orderBy(desc(readings.recordedAt), desc(readings.id))
    .limit(given.limit)
    .prepare("readings_recent");

  const byUnit = database
    .select({
      id: readings.id,
      deviceId: readings.deviceId,
      recordedAt: readings.recordedAt,
      temperature: readings.temperature,
      humidity: readings.humidity,
      battery: readings.battery,
    })
    .from(readings)
    .where(closed)
    .orderBy(asc(readings.recordedAt), asc(readings.id))
    .limit(given.limit)
    .prepare("readings_by_unit");

  // The first column by its number: a parameter would be another expression in GROUP BY than in SELECT.
  const aggregate = database
    .select({
      day: sql<string>`date_trunc('day', ${readings.recordedAt})`,
      readings: sql<number>`count(*)::int`,
      coldest: sql<string | null>`min(${readings.temperature})`,
      warmest: sql<string | null>`max(${readings.temperature})`,
      mean: sql<string | null>`avg(${readings.temperature})`,
      humidity: sql<string | null>`avg(${readings.humidity})`,
    })
    .from(readings)
    .where(closed)
    .groupBy(sql`1`)
    .orderBy(sql`1`)
    .prepare("readings_aggregate");

  const latest = database
    .selectDistinctOn([readings.deviceId], {
      deviceId: readings.deviceId,
      id: readings.id,
      recordedAt: readings.recordedAt,
      temperature: readings.temperature,
      battery: readings.battery,
    })
    .from(readings)
    .where(and(gte(readings.recordedAt, given.from), lt(readings.recordedAt, given.to)))
    .orderBy(readings.deviceId, desc(readings.recordedAt), desc(readings.id))
    .as("latest");
  const alerts = database
    .select()
    .from(latest)
    .where(or(not(between(latest.temperature, COLDEST, WARMEST)), lt(latest.battery, LOWEST_BATTERY)))
    .orderBy(latest.deviceId)
    .prepare("alerts_evaluate");

  return { recent, byUnit, aggregate, alerts };
}

export type Reads = ReturnType<typeof prepareReads>;

const key = { id: readings.id, recordedAt: readings.recordedAt };

/**
 * Insert readings, and leave out those that are there already; return the keys of the new ones.
 *
 * Without a target, ON CONFLICT DO NOTHING takes every unique key of the table. So it is served before and after a swap.
 */
export function ingest(database: Database, given: NewReading[]) {
  return database.insert(readings).values(given).onConflictDoNothing().returning(key);
}

/**
 * Insert readings again that a device sent before, with their ids.
 *
 * A target must be a unique key of the table at this moment:
 *
 * - `(id)` is the key before the migration. Afterwards each such statement fails with SQLSTATE 42P10, because a unique
 *   key of a partitioned table has the partition column.
 * - `(id, recorded_at)` is the key afterwards. Before, it fails in the same way, unless the table has a unique index on
 *   these two columns. So create that index first, deploy this statement next, and migrate then.
 */
export function repeat(database: Database, given: NewReading[]) {
  return database
    .insert(readings)
    .values(given)
    .onConflictDoNothing({ target: [readings.id, readings.recordedAt] })
    .returning(key);
}
