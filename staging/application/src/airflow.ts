import { z } from "zod";

const Token = z.object({ access_token: z.string() });
const Run = z.object({ dag_run_id: z.string(), state: z.string() });

export type Run = z.infer<typeof Run>;

export interface Login {
  url: string;
  user: string;
  password: string;
}

const REQUEST_MS = 30_000;

/** Airflow's REST API, as far as a job needs it: trigger a DAG once, and read the state of its run. */
export class Airflow {
  #token: string | undefined;

  constructor(private readonly login: Login) {}

  /** Trigger a DAG under a run id. A job that is tried again finds the run of its first try. */
  async trigger(dag: string, runId: string, conf: object): Promise<Run> {
    const body = { dag_run_id: runId, logical_date: null, conf };
    const answer = await this.#send("POST", `/api/v2/dags/${dag}/dagRuns`, body);
    if (answer.status === 409) return this.run(dag, runId);
    return Run.parse(await content(answer));
  }

  /** Read a run. */
  async run(dag: string, runId: string): Promise<Run> {
    return Run.parse(await content(await this.#send("GET", `/api/v2/dags/${dag}/dagRuns/${encodeURIComponent(runId)}`)));
  }

  async #send(method: string, path: string, body?: object): Promise<Response> {
    this.#token ??= await this.#authenticate();
    const answer = await this.#request(method, path, body);
    if (answer.status !== 401) return answer;

    // The token has expired.
    this.#token = await this.#authenticate();
    return this.#request(method, path, body);
  }

  async #authenticate(): Promise<string> {
    const { user: username, password } = this.login;
    const answer = await this.#request("POST", "/auth/token", { username, password });
    return Token.parse(await content(answer)).access_token;
  }

  #request(method: string, path: string, body?: object): Promise<Response> {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (this.#token) headers["authorization"] = `Bearer ${this.#token}`;
    const signal = AbortSignal.timeout(REQUEST_MS);
    return fetch(new URL(path, this.login.url), { method, headers, signal, ...(body && { body: JSON.stringify(body) }) });
  }
}

async function content(answer: Response): Promise<unknown> {
  if (answer.ok) return answer.json();
  throw new Error(`Airflow answered ${answer.status} to ${new URL(answer.url).pathname}: ${await answer.text()}`);
}
