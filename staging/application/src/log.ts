import { pino } from "pino";

const options = {
  base: null,
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: (level: string) => ({ level }) },
};

/**
 * One JSON object a line. The level is a word, so that the playbook's watch finds `"level":"error"`.
 *
 * Each line is written before the answer that it tells of, and is there after a crash.
 */
export const log = pino(options, pino.destination({ dest: 1, sync: true }));
