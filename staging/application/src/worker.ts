import { Queue, Worker } from "bullmq";

import { Airflow } from "./airflow.js";
import { JobName, QUEUE, SCHEDULES } from "./jobs.js";
import { log } from "./log.js";
import { maintain } from "./maintenance.js";
import { workerSettings } from "./settings.js";

const settings = workerSettings();
const connection = { url: settings.REDIS_URL, maxRetriesPerRequest: null };
const airflow = new Airflow({
  url: settings.AIRFLOW_URL,
  user: settings.AIRFLOW_USER,
  password: settings.AIRFLOW_PASSWORD,
});

const queue = new Queue(QUEUE, { connection });
for (const [name, pattern] of Object.entries(SCHEDULES)) {
  await queue.upsertJobScheduler(name, { pattern, tz: "UTC" }, { name });
}

const worker = new Worker(
  QUEUE,
  // BullMQ's id is new for each job, and stays for its retries. A repeated one has the time in it.
  (job) => maintain(airflow, JobName.parse(job.name), `${job.timestamp}_${job.id}`, settings.TABLE_SPEC),
  { connection },
);
worker.on("completed", (job, result) => log.info({ job: job.name, result }, "job completed"));
worker.on("failed", (job, error) => log.error({ job: job?.name, err: error }, "job failed"));
worker.on("error", (error) => log.error({ err: error }, "the queue does not answer"));
await worker.waitUntilReady();
log.info({ queue: QUEUE }, "working");

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => void Promise.all([worker.close(true), queue.close()]).then(() => process.exit(0)));
}
