import { z } from "zod";

const moment = z.iso.datetime({ offset: true });
// Any UUID of PostgreSQL: z.uuid() asks for the version and variant of RFC 9562, and the worked schema makes ids of md5.
const unitId = z.guid();
const celsius = z.number().min(-99.99).max(999.99);

/** The newest readings of a unit before a moment. */
export const Recent = z.object({
  unitId,
  to: moment.optional(),
  limit: z.number().int().min(1).max(500).default(100),
});

/** A range of time; the end is exclusive. */
const range = { from: moment, to: moment };
const forward = <T extends { from: string; to: string }>(given: T) => Date.parse(given.from) < Date.parse(given.to);
const order = { error: "`from` must be before `to`", path: ["from"] };

export const ByUnit = z
  .object({ unitId, ...range, limit: z.number().int().min(1).max(5_000).default(5_000) })
  .refine(forward, order);
export const Aggregate = z.object({ unitId, ...range }).refine(forward, order);
export const Evaluate = z.object(range).refine(forward, order);

const reading = z.object({
  unitId,
  deviceId: z.guid(),
  temperature: celsius.optional(),
  humidity: z.number().min(0).max(100).optional(),
  battery: z.number().int().min(0).max(100).optional(),
  signalStrength: z.number().int().optional(),
  recordedAt: moment,
  source: z.string().max(40).optional(),
});
const id = z.number().int();
const batch = <T extends z.ZodType>(each: T) => z.object({ readings: z.array(each).min(1).max(500) });

/** New readings. One with an id is left out if it is there already. */
export const Ingest = batch(reading.extend({ id: id.optional() }));

/** Readings that were sent before. */
export const Repeat = batch(reading.extend({ id }));

type Given = z.infer<typeof reading> & { id?: number | undefined };

/** Return the row of a reading: numbers with a scale are text, so that none is rounded, and nothing is undefined. */
export function toRow({ temperature, humidity, ...rest }: Given) {
  const row = { ...rest, temperature: temperature?.toFixed(2), humidity: humidity?.toFixed(2) };
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)) as Present<typeof row>;
}

type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};
