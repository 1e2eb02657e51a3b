import { deploying, type FlagSpec } from "./spec.ts";

export const scheduleFlags = [
  {
    name: "window",
    value: "TIMES",
    commands: deploying,
    repeats: true,
    defaultText: "always",
    group: "Schedule",
    help:
      'When deploys may happen: "Mon-Fri 09:00-17:00 Asia/Tokyo", "22:00-02:00"; when not: ' +
      '"!Fri 15:00-24:00", "!Dec 24-Jan 2"',
  },
  {
    name: "min-age",
    value: "DURATION",
    commands: deploying,
    default: "0",
    group: "Schedule",
    help: "A release must be this old: one that is withdrawn before never gets here",
  },
  {
    name: "jitter",
    value: "DURATION",
    commands: deploying,
    default: "0",
    group: "Schedule",
    help: "Hosts deploy a release at different moments of this time, not all at once",
  },
] as const satisfies readonly FlagSpec[];
