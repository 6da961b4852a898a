// The page asks tRPC over HTTP, without a bundler: a query is a GET with its input as JSON.
interface Unit {
  id: string;
  name: string;
}

interface Reading {
  id: number;
  recordedAt: string;
  temperature: string | null;
}

interface Alert {
  deviceId: string;
  temperature: string | null;
  battery: number | null;
}

const WIDTH = 900;
const HEIGHT = 300;
const MARGIN = 24;
const NAMESPACE = "http://www.w3.org/2000/svg";

async function query<T>(procedure: string, input?: object): Promise<T> {
  const given = input ? `?input=${encodeURIComponent(JSON.stringify(input))}` : "";
  const answer = await fetch(`/trpc/${procedure}${given}`);
  const body = await answer.json();
  if (!answer.ok) throw new Error(`${procedure}: ${body.error.message}`);
  return body.result.data;
}

function element<T extends Element>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no element ${id}`);
  return found as unknown as T;
}

async function showUnits(): Promise<void> {
  const select = element<HTMLSelectElement>("unit");
  const units = await query<Unit[]>("units.list");
  select.replaceChildren(...units.map((unit) => new Option(unit.name, unit.id)));
  select.addEventListener("change", () => void show(select.value));
  if (units[0]) await show(units[0].id);
}

async function show(unitId: string): Promise<void> {
  const now = Date.now();
  const hour = { from: new Date(now - 3_600_000).toISOString(), to: new Date(now).toISOString() };
  try {
    const [readings, alerts] = await Promise.all([
      query<Reading[]>("readings.recent", { unitId, limit: 500 }),
      query<Alert[]>("alerts.evaluate", hour),
    ]);
    draw(readings.reverse());
    element("alerts").replaceChildren(...alerts.map(describe));
  } catch (error) {
    element("problem").textContent = String(error);
    throw error;
  }
}

function describe(alert: Alert): HTMLLIElement {
  const item = document.createElement("li");
  item.textContent = `Device ${alert.deviceId}: ${alert.temperature ?? "no"} °C, battery ${alert.battery ?? "unknown"}`;
  return item;
}

function draw(readings: Reading[]): void {
  const measured = readings.filter((reading) => reading.temperature !== null);
  const times = measured.map((reading) => Date.parse(reading.recordedAt.replace(" ", "T").replace(/\+00$/, "Z")));
  const values = measured.map((reading) => Number(reading.temperature));
  element("summary").textContent = `${measured.length} readings`;
  if (!measured.length) return;

  const x = scale(times, MARGIN, WIDTH - MARGIN);
  const y = scale(values, HEIGHT - MARGIN, MARGIN);
  const line = document.createElementNS(NAMESPACE, "polyline");
  line.setAttribute("points", times.map((time, at) => `${x(time)},${y(values[at] ?? 0)}`).join(" "));
  const labels = [label(Math.max(...values), 14), label(Math.min(...values), HEIGHT - 6)];
  element("chart").replaceChildren(line, ...labels);
}

function label(value: number, y: number): SVGTextElement {
  const text = document.createElementNS(NAMESPACE, "text");
  text.setAttribute("x", "4");
  text.setAttribute("y", String(y));
  text.textContent = `${value} °C`;
  return text;
}

function scale(values: number[], from: number, to: number): (value: number) => string {
  const least = Math.min(...values);
  const span = Math.max(...values) - least || 1;
  return (value) => (from + ((value - least) / span) * (to - from)).toFixed(1);
}

void showUnits();

export {};
