// The tests of a running application: `node dist/test/running.js http://127.0.0.1:3000`. The playbook runs them before a
// migration and after the cutover, as the key `application.commands` of the table spec says.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createTRPCClient, httpLink, TRPCClientError } from "@trpc/client";

import type { AppRouter } from "../src/router.js";

const url = process.argv[2];
assert.ok(url, "Give the address of the application");

const client = createTRPCClient<AppRouter>({ links: [httpLink({ url: `${url}/trpc` })] });
const [unit] = await client.units.list.query();
assert.ok(unit, "The application has no unit");

const now = Date.now();
const week = { from: new Date(now - 7 * 86_400_000).toISOString(), to: new Date(now).toISOString() };

test("recent readings come newest first", async () => {
  const found = await client.readings.recent.query({ unitId: unit.id, limit: 50 });
  const moments = found.map((reading) => Date.parse(reading.recordedAt));
  assert.ok(found.length > 0);
  assert.deepEqual(moments, [...moments].sort((one, other) => other - one));
});

test("the aggregate counts the readings of the same range", async () => {
  // A past range: rows that arrive between both calls do not matter.
  const day = { unitId: unit.id, from: new Date(now - 2 * 3_600_000).toISOString(), to: new Date(now - 3_600_000).toISOString() };
  const listed = await client.readings.byUnit.query(day);
  const days = await client.readings.aggregate.query(day);
  assert.equal(days.reduce((sum, each) => sum + each.readings, 0), listed.length);
});

test("alerts are cold, warm, or low on battery", async () => {
  for (const alert of await client.alerts.evaluate.query(week)) {
    const temperature = Number(alert.temperature);
    assert.ok(temperature < -5 || temperature > 8 || Number(alert.battery) < 10);
  }
});

test("an input without sense is refused", async () => {
  const refused = client.readings.byUnit.query({ unitId: unit.id, from: week.to, to: week.from });
  await assert.rejects(refused, (error) => error instanceof TRPCClientError && error.data?.code === "BAD_REQUEST");
});
