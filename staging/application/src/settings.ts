import { z } from "zod";

const Server = z.object({
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }),
  HOST: z.string().default("127.0.0.1"),
  PORT: z.coerce.number().int().min(0).max(65_535).default(3000),
  POOL_SIZE: z.coerce.number().int().min(1).default(5),
});

const Queue = z.object({ REDIS_URL: z.url() });

const Worker = Queue.extend({
  AIRFLOW_URL: z.url(),
  AIRFLOW_USER: z.string().min(1),
  AIRFLOW_PASSWORD: z.string().min(1),
  // The table spec of the playbook, not the table: the name of a file in include/tables.
  TABLE_SPEC: z.string().default("sensor_readings"),
});

export type WorkerSettings = z.infer<typeof Worker>;

/** Read the server's settings from the environment. */
export const serverSettings = () => read(Server);

/** Read the settings of a program that only adds jobs. */
export const queueSettings = () => read(Queue);

/** Read the worker's settings. */
export const workerSettings = () => read(Worker);

function read<T extends z.ZodType>(schema: T): z.infer<T> {
  const found = schema.safeParse(process.env);
  if (found.success) return found.data;

  throw new Error(`Set these environment variables:\n${z.prettifyError(found.error)}`);
}
