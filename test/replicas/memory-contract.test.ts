import { MemoryRuntime } from "../support/memory-runtime.ts";
import { type ContractMode, replicaContract } from "./contract.ts";
import { deployment, root } from "./replica-set-host.ts";

const behaviours = { serve: "serve", exit: "exit", deaf: "refuse", hang: "mute", fail: 500 } as const;

replicaContract("replicas that are containers of an engine in memory", () => {
  const runtime = new MemoryRuntime();
  return {
    root,
    startMs: 300,
    whyItEnds: /^run shop:v2 by hand/,
    engine: () => runtime,
    deployment: (_, version, mode: ContractMode = "serve") => deployment(runtime, version, behaviours[mode]),
    kill: async (_, id) => runtime.die(id),
    [Symbol.asyncDispose]: () => runtime[Symbol.asyncDispose](),
  };
});
