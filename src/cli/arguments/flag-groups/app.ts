import { type FlagSpec, server } from "./spec.ts";

export const appFlags = [
  {
    name: "port",
    short: "p",
    value: "PORTS",
    commands: server,
    repeats: true,
    group: "App",
    help:
      "Where the app listens: 8000, 8000-8005, 127.0.0.1:8000, [::1]:8000, unix:/path; several by commas. " +
      "Its descriptors 3, 4, … follow the numbers",
  },
  {
    name: "stop-timeout",
    value: "DURATION",
    commands: server,
    default: "30s",
    group: "App",
    help: "Time an old process gets to end before it is killed",
  },
  {
    name: "min-uptime",
    value: "DURATION",
    commands: server,
    default: "3s",
    group: "App",
    help: "How long a new version must stay up before the old one is told to stop",
  },
] as const satisfies readonly FlagSpec[];
