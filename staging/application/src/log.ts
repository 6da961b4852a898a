import { pino } from "pino";

/** One JSON object a line. The level is a word, so that the playbook's watch finds `"level":"error"`. */
export const log = pino({
  base: null,
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: (level) => ({ level }) },
});
