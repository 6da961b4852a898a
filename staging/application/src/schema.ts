import { bigint, index, integer, numeric, pgTable, smallint, text, timestamp, uniqueIndex, uuid } from "drizzle-orm/pg-core";

// Text keeps microseconds and the offset. A Date would cut them to milliseconds, and a repeated write would miss its key.
const moment = (name: string) => timestamp(name, { withTimezone: true, mode: "string" });

export const units = pgTable("units", {
  id: uuid("id").primaryKey().defaultRandom(),
  name: text("name").notNull().unique(),
});

export const devices = pgTable("devices", {
  id: uuid("id").primaryKey().defaultRandom(),
  unitId: uuid("unit_id").notNull().references(() => units.id),
  name: text("name").notNull().unique(),
});

/**
 * The table of the migration, under its own name before, during and after.
 *
 * Its key here is the one before the migration. Drizzle does not ask the server for keys, so queries work with either.
 */
export const readings = pgTable(
  "sensor_readings",
  {
    id: bigint("id", { mode: "number" }).primaryKey().generatedByDefaultAsIdentity(),
    unitId: uuid("unit_id").notNull().references(() => units.id),
    deviceId: uuid("device_id").notNull().references(() => devices.id),
    temperature: numeric("temperature", { precision: 5, scale: 2 }),
    humidity: numeric("humidity", { precision: 5, scale: 2 }),
    battery: smallint("battery"),
    signalStrength: integer("signal_strength"),
    recordedAt: moment("recorded_at").notNull(),
    receivedAt: moment("received_at").notNull().defaultNow(),
    source: text("source").notNull().default("device"),
  },
  (table) => [
    index("sensor_readings_unit_time").on(table.unitId, table.recordedAt.desc()),
    index("sensor_readings_device").on(table.deviceId),
    index("sensor_readings_recorded").on(table.recordedAt),
    // The key of the partitioned table, made before the migration: see readings.repeat.
    uniqueIndex("sensor_readings_id_recorded_at").on(table.id, table.recordedAt),
  ],
);
