import { Queue, QueueEvents } from "bullmq";

import { JobName, QUEUE } from "./jobs.js";
import { queueSettings } from "./settings.js";

const WAIT_MS = 600_000;

// `node dist/src/enqueue.js partition:create` adds a job, waits for its end, and prints its result as JSON.
const name = JobName.parse(process.argv[2]);
const connection = { url: queueSettings().REDIS_URL, maxRetriesPerRequest: null };
const queue = new Queue(QUEUE, { connection });
const events = new QueueEvents(QUEUE, { connection });

try {
  await events.waitUntilReady();
  const job = await queue.add(name, {}, { attempts: 3, backoff: { type: "exponential", delay: 1_000 } });
  console.log(JSON.stringify(await job.waitUntilFinished(events, WAIT_MS)));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await Promise.all([queue.close(), events.close()]);
}
