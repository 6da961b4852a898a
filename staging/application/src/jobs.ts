import { z } from "zod";

export const QUEUE = "partitions";

/** The jobs of the playbook, with the params of the DAG `partition_maintenance` that do the same work. */
export const JOBS = {
  "partition:create": { retention: "off" },
  "partition:retention": { retention: "apply" },
} as const;

export type JobName = keyof typeof JOBS;

export const JobName = z.enum(Object.keys(JOBS) as [JobName, ...JobName[]]);

/** The times at which the jobs start by themselves, in UTC: weekly on Sunday, monthly on the first day. */
export const SCHEDULES: Record<JobName, string> = {
  "partition:create": "0 2 * * 0",
  "partition:retention": "0 3 1 * *",
};
