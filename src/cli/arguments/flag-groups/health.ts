import { appHealthDefaults } from "../../../config/health-defaults.ts";
import { type FlagSpec, server } from "./spec.ts";

export const healthFlags = [
  {
    name: "health-path",
    value: "PATH",
    commands: server,
    group: "Health",
    help:
      "A new version is healthy when it answers GET with 2xx or 3xx on the lowest port (on the first unix socket " +
      "where there are no others); behind --proxy all its ports must be served, too",
  },
  {
    name: "health-cmd",
    value: "CMD",
    commands: server,
    group: "Health",
    help:
      "A new version is healthy when this ends with 0; run by /bin/sh -c in the root with the app's environment, " +
      "DEWY_PID and DEWY_PORT or DEWY_SOCKET",
  },
  {
    name: "health-timeout",
    value: "DURATION",
    commands: server,
    defaultText: appHealthDefaults["health-timeout"],
    group: "Health",
    help: "Time a new version gets to become healthy",
  },
  {
    name: "health-interval",
    value: "DURATION",
    commands: server,
    defaultText: appHealthDefaults["health-interval"],
    group: "Health",
    help: "Time between two checks",
  },
  {
    name: "health-passes",
    value: "N",
    commands: server,
    defaultText: appHealthDefaults["health-passes"],
    group: "Health",
    help: "Good checks in a row after which a new version is healthy and the old one is told to stop",
  },
  {
    name: "health-threshold",
    value: "N",
    commands: server,
    defaultText: appHealthDefaults["health-threshold"],
    group: "Health",
    help: "Failed checks in a row that bring the old version back while the new one is on probation (--soak)",
  },
  {
    name: "rehearse",
    value: null,
    commands: server,
    group: "Health",
    help:
      "Start each version on private sockets first, with DEWY_REHEARSAL=1, and on the real ones only once it was " +
      "healthy there",
  },
  {
    name: "soak",
    value: "DURATION",
    commands: server,
    defaultText: "none",
    group: "Health",
    help: "How long a new version is on probation: a crash or failing checks bring the old one back",
  },
] as const satisfies readonly FlagSpec[];
