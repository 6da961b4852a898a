import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { createHTTPHandler } from "@trpc/server/adapters/standalone";
import { sql } from "drizzle-orm";

import { connect } from "./database.js";
import { log } from "./log.js";
import { registry } from "./metrics.js";
import { createRouter } from "./router.js";
import { serverSettings } from "./settings.js";

const PAGE = new URL("../../src/page/index.html", import.meta.url);
const SCRIPT = new URL("./page/dashboard.js", import.meta.url);

const settings = serverSettings();
const { pool, database } = connect(settings.DATABASE_URL, settings.POOL_SIZE);
const trpc = createHTTPHandler({ basePath: "/trpc/", router: createRouter(database), createContext: () => ({}) });

/** A route of its own: its content type and its text, or an error that becomes a 503. */
type Route = () => Promise<[type: string, text: string]>;

const routes: Record<string, Route> = {
  "/": async () => ["text/html; charset=utf-8", await readFile(PAGE, "utf8")],
  "/dashboard.js": async () => ["text/javascript; charset=utf-8", await readFile(SCRIPT, "utf8")],
  "/health": async () => {
    await database.execute(sql`SELECT 1`);
    return ["application/json", JSON.stringify({ status: "ok" })];
  },
  "/metrics": async () => [registry.contentType, await registry.metrics()],
};

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  if (pathname.startsWith("/trpc/")) return trpc(request, response);

  const route = routes[pathname];
  if (!route) {
    response.writeHead(404).end();
    return;
  }
  try {
    const [type, text] = await route();
    response.writeHead(200, { "content-type": type }).end(text);
  } catch (error) {
    log.error({ err: error, path: pathname }, "a request failed");
    response.writeHead(503, { "content-type": "application/json" }).end(JSON.stringify({ status: "unavailable" }));
  }
}

const server = createServer((request, response) => {
  const began = performance.now();
  // Without the query string, which holds the input.
  const path = (request.url ?? "").split("?")[0];
  response.on("finish", () => {
    const milliseconds = Math.round(performance.now() - began);
    log.info({ method: request.method, path, status: response.statusCode, milliseconds }, "request");
  });
  void answer(request, response);
});

server.listen(settings.PORT, settings.HOST, () => {
  log.info({ port: (server.address() as AddressInfo).port }, "listening");
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    // Idle connections that clients keep open would hold the server up.
    server.close(() => void pool.end().then(() => log.info("stopped")));
    server.closeIdleConnections();
  });
}
