import { replicatedDefaults } from "../../../config/replicated-defaults.ts";
import { type FlagSpec, server } from "./spec.ts";

/** `server --proxy`. */
export const replicatedFlags = [
  {
    name: "proxy",
    value: null,
    commands: server,
    group: "Proxy",
    help:
      "dewy's own proxy listens on the ports, and the app on a private one that it reads from PORT: zero downtime " +
      "for apps that can't take sockets over",
  },
  {
    name: "port-env",
    value: "NAMES",
    commands: server,
    defaultText: replicatedDefaults["port-env"],
    group: "Proxy",
    help: "The variables that tell the app its ports, in the order of the proxy's: PORT,ADMIN_PORT",
  },
  {
    name: "replicas",
    value: "N",
    commands: server,
    defaultText: replicatedDefaults.replicas,
    group: "Proxy",
    help: "How many processes serve behind --proxy",
  },
  {
    name: "drain-time",
    value: "DURATION",
    commands: server,
    defaultText: replicatedDefaults["drain-time"],
    group: "Proxy",
    help: "Time an old process's connections get to end behind --proxy; 0: none",
  },
  {
    name: "proxy-idle-timeout",
    value: "DURATION",
    commands: server,
    defaultText: replicatedDefaults["proxy-idle-timeout"],
    group: "Proxy",
    help: "Connections on which nothing moves are closed after it; 0: never",
  },
  {
    name: "max-connections",
    value: "N",
    commands: server,
    defaultText: "what the limit of open files allows",
    group: "Proxy",
    help: "More clients wait until others have gone",
  },
  {
    name: "proxy-protocol",
    value: "v1|v2",
    commands: server,
    defaultText: "none",
    group: "Proxy",
    help: "Tell the app each client's address by haproxy's PROXY protocol",
  },
] as const satisfies readonly FlagSpec[];
