import { archives, type FlagSpec } from "./spec.ts";

export const linkFlags = [
  {
    name: "link",
    value: "FROM:TO",
    commands: archives,
    repeats: true,
    group: "Release",
    help: "Link a path that outlives releases into each: shared/log:log",
  },
  {
    name: "user",
    value: "USER[:GROUP]",
    commands: archives,
    group: "App",
    help: "Whom the app and the hooks run as, by name or number; needs root",
    defaultText: "the agent's",
  },
  {
    name: "group",
    value: "GROUP",
    commands: archives,
    group: "App",
    help: "The group they run as",
    defaultText: "the user's",
  },
] as const satisfies readonly FlagSpec[];
