/** As an operator would write them. Here and not in the table of flags, so that a flag that was given can be told. */
export const replicatedDefaults = {
  "port-env": "PORT",
  replicas: "1",
  "drain-time": "30s",
  "proxy-idle-timeout": "300s",
} as const;
