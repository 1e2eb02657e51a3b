import { ProcessEngine } from "../../src/process-engine/engine.ts";
import type { ReplicaEngine } from "../../src/replicas/engine.ts";
import { replicaContract } from "../replicas/contract.ts";
import { c, ProcessHost } from "./process-host.ts";

replicaContract("replicas that are processes", () => {
  const host = new ProcessHost();
  return {
    root: host.root,
    startMs: 5000,
    whyItEnds: /^see the app's own output/,
    engine: () => host.engine(),
    deployment: (engine, version, mode = "serve") => host.deployment(processes(engine), version, mode),
    async kill(engine, id) {
      const instance = await engine.inspect(id, c);
      if (instance?.pid) process.kill(instance.pid, "SIGKILL");
    },
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
});

function processes(engine: ReplicaEngine): ProcessEngine {
  if (engine instanceof ProcessEngine) return engine;
  throw new Error("not an engine of processes");
}
