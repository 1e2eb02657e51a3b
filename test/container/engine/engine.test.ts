import { openRuntime } from "../../../src/container/engine/open.ts";
import { systemClock } from "../../../src/util/time.ts";
import { startContractImages } from "../../support/engine-images.ts";
import type { Engine } from "../../support/engine-process.ts";
import { sharedDocker, sharedPodman } from "../../support/engines.ts";
import { recordingLog } from "../../support/recording.ts";
import { type ContractFixture, containerRuntimeContract } from "../contract.ts";

containerRuntimeContract("Docker", () => openFixture(sharedDocker()));

containerRuntimeContract("Podman", () => openFixture(sharedPodman()), {
  lacks: {
    oom: "Podman 4.3 on cgroup v1 does not notice it when the first process of a container is killed",
  },
});

async function openFixture(starting: Promise<Engine>): Promise<ContractFixture> {
  const engine = await starting;
  const images = await startContractImages();
  const runtime = await openRuntime(
    { kind: engine.name, env: engine.env },
    { log: recordingLog(), clock: systemClock },
  );
  return {
    runtime,
    images,
    check(id) {
      if (engine.name === "podman") checkByHand(engine, id);
    },
    async [Symbol.asyncDispose]() {
      await runtime[Symbol.asyncDispose]();
      await images[Symbol.asyncDispose]();
    },
  };
}

function checkByHand(engine: Engine, id: string): void {
  try {
    engine.cli("healthcheck", "run", id);
  } catch {
    // The check failed, which is for `inspect` to tell.
  }
}
