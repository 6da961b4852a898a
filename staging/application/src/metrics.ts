import { Counter, Histogram, Registry, collectDefaultMetrics } from "prom-client";

export const registry = new Registry();
collectDefaultMetrics({ register: registry });

/** Calls by procedure and result; the result is `ok` or the code of tRPC. */
export const calls = new Counter({
  name: "trpc_calls_total",
  help: "Calls of procedures",
  labelNames: ["procedure", "result"] as const,
  registers: [registry],
});

export const seconds = new Histogram({
  name: "trpc_call_seconds",
  help: "Duration of calls",
  labelNames: ["procedure"] as const,
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  registers: [registry],
});

export const inserted = new Counter({
  name: "readings_inserted_total",
  help: "Rows that were new",
  registers: [registry],
});
