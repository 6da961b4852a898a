import assert from "node:assert/strict";
import { test } from "node:test";

import { ByUnit, Ingest, Repeat, toRow } from "../src/input.js";

const unitId = "00000000-0000-4000-8000-000000000001";
const reading = { unitId, deviceId: unitId, recordedAt: "2026-11-30T12:00:00.123456Z" };

test("a range must go forward", () => {
  const from = "2026-11-30T12:00:00Z";
  assert.equal(ByUnit.safeParse({ unitId, from, to: "2026-11-30T13:00:00Z" }).success, true);
  assert.equal(ByUnit.safeParse({ unitId, from, to: from }).success, false);
});

test("a batch has 1 to 500 readings", () => {
  assert.equal(Ingest.safeParse({ readings: [] }).success, false);
  assert.equal(Ingest.safeParse({ readings: Array(500).fill(reading) }).success, true);
  assert.equal(Ingest.safeParse({ readings: Array(501).fill(reading) }).success, false);
});

test("a repeated reading needs its id", () => {
  assert.equal(Ingest.safeParse({ readings: [reading] }).success, true);
  assert.equal(Repeat.safeParse({ readings: [reading] }).success, false);
  assert.equal(Repeat.safeParse({ readings: [{ ...reading, id: 7 }] }).success, true);
});

test("a row keeps microseconds and the scale, and has no undefined value", () => {
  const row = toRow({ ...reading, temperature: 0.1 + 0.2 });
  assert.deepEqual(row, { ...reading, temperature: "0.30" });
});
