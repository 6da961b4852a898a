import { setTimeout as pause } from "node:timers/promises";

import type { Airflow } from "./airflow.js";
import { JOBS, type JobName } from "./jobs.js";

export const DAG = "partition_maintenance";

const POLL_MS = 1_000;
const PATIENCE_MS = 3_600_000;

/**
 * Let the DAG do the work of a job, and wait for its end; the state of the job is the state of the run.
 *
 * The job creates and drops nothing itself: the DAG knows the locks, the holds and the archive.
 */
export async function maintain(airflow: Airflow, job: JobName, id: string, table: string, pollMs = POLL_MS) {
  const started = Date.now();
  const runId = `bullmq__${job.replace(":", "_")}__${id}`;

  let run = await airflow.trigger(DAG, runId, { table, ...JOBS[job] });
  while (run.state !== "success") {
    if (run.state === "failed") throw new Error(`The run ${runId} of ${DAG} failed: open it in Airflow`);
    if (Date.now() - started > PATIENCE_MS) throw new Error(`The run ${runId} of ${DAG} has not ended: ${run.state}`);
    await pause(pollMs);
    run = await airflow.run(DAG, runId);
  }
  return { runId, state: run.state };
}
