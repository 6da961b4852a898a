import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, test } from "node:test";

import { Airflow } from "../src/airflow.js";
import { maintain } from "../src/maintenance.js";

interface Asked {
  method: string;
  path: string;
  token: string | undefined;
  body: unknown;
}

type Reply = [status: number, body: object];

/** A small server in the place of Airflow: it keeps each request, and gives the next reply for its path. */
const asked: Asked[] = [];
let replies: Record<string, Reply[]>;
let airflow: Airflow;

const server = createServer(async (request, response) => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const text = Buffer.concat(parts).toString();
  const [method, path] = [request.method ?? "", request.url ?? ""];
  asked.push({ method, path, token: request.headers.authorization, body: text ? JSON.parse(text) : undefined });

  const [status, body] = replies[`${method} ${path}`]?.shift() ?? [404, { detail: "not expected" }];
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
});

const RUNS = "/api/v2/dags/partition_maintenance/dagRuns";
const RUN = "bullmq__partition_create__7";
const token = (value: string): Reply => [201, { access_token: value }];
const run = (state: string): Reply => [200, { dag_run_id: RUN, state }];

beforeEach(async () => {
  asked.length = 0;
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  airflow = new Airflow({ url, user: "jo", password: "secret" });
});

afterEach(() => new Promise((done) => {
  server.close(done);
  server.closeAllConnections();
}));

const create = () => maintain(airflow, "partition:create", "7", "sensor_readings", 1);

test("a job triggers the DAG with its token and waits for the end of the run", async () => {
  replies = {
    "POST /auth/token": [token("one")],
    [`POST ${RUNS}`]: [run("queued")],
    [`GET ${RUNS}/${RUN}`]: [run("running"), run("success")],
  };
  assert.deepEqual(await create(), { runId: RUN, state: "success" });

  assert.deepEqual(asked[0]?.body, { username: "jo", password: "secret" });
  const conf = { table: "sensor_readings", retention: "off" };
  assert.deepEqual(asked[1]?.body, { dag_run_id: RUN, logical_date: null, conf });
  assert.deepEqual(asked.slice(1).map((each) => each.token), ["Bearer one", "Bearer one", "Bearer one"]);
});

test("a job that is tried again follows the run of its first try", async () => {
  replies = {
    "POST /auth/token": [token("one")],
    [`POST ${RUNS}`]: [[409, { detail: "it exists" }]],
    [`GET ${RUNS}/${RUN}`]: [run("success")],
  };
  assert.deepEqual(await create(), { runId: RUN, state: "success" });
});

test("an expired token is renewed once", async () => {
  replies = {
    "POST /auth/token": [token("old"), token("new")],
    [`POST ${RUNS}`]: [[401, {}], run("success")],
  };
  await create();
  assert.deepEqual(asked.filter((each) => each.path === RUNS).map((each) => each.token), ["Bearer old", "Bearer new"]);
});

test("a failed run fails the job", async () => {
  replies = { "POST /auth/token": [token("one")], [`POST ${RUNS}`]: [run("failed")] };
  await assert.rejects(create(), /bullmq__partition_create__7 of partition_maintenance failed/);
});

test("a refusal of Airflow fails the job with its text", async () => {
  replies = { "POST /auth/token": [token("one")], [`POST ${RUNS}`]: [[403, { detail: "may not trigger" }]] };
  await assert.rejects(create(), /403 to .*dagRuns: .*may not trigger/);
});
