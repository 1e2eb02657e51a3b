import { container, type FlagSpec } from "./spec.ts";

export const proxyFlags = [
  {
    name: "port",
    short: "p",
    value: "PORTS",
    commands: container,
    repeats: true,
    defaultText: "8000",
    group: "Proxy",
    help:
      "Where the proxy listens, and the container's port: 8000:8080, 127.0.0.1:8000:8080; several by commas. " +
      "Without a container port the image's EXPOSE is taken",
  },
  {
    name: "container-port",
    value: "PORT",
    commands: container,
    group: "Proxy",
    help: "The container's port of a single --port that names none",
  },
  {
    name: "proxy-idle-timeout",
    value: "DURATION",
    commands: container,
    default: "300s",
    group: "Proxy",
    help: "Connections on which nothing moves are closed after it; 0: never",
  },
  {
    name: "max-connections",
    value: "N",
    commands: container,
    defaultText: "what the limit of open files allows",
    group: "Proxy",
    help: "More clients wait until others have gone",
  },
  {
    name: "proxy-protocol",
    value: "v1|v2",
    commands: container,
    defaultText: "none",
    group: "Proxy",
    help: "Tell the app each client's address by haproxy's PROXY protocol",
  },
] as const satisfies readonly FlagSpec[];
