import type { RegistryCredentials } from "../../src/container/runtime.ts";
import type { ContractApp, ContractImages, ImageName } from "../container/contract.ts";
import { busyboxLayer, type ImageConfig, type ImageFile, type ImageSpec, pushImage } from "./oci-image.ts";
import { type OciRegistry, startOciRegistry } from "./oci-registry.ts";

const shell = (script: string): ImageConfig => ({ Cmd: ["/bin/sh", "-c", script] });
/** Sleeps until SIGTERM: the first process of a container has no default action for it. */
const obliging = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
const stubborn = "trap '' TERM; while :; do sleep 1; done";
const second = 1_000_000_000;
const checkedBy = (command: string): ImageConfig => ({
  ...shell(obliging),
  Healthcheck: { Test: ["CMD", command], Interval: second, Timeout: second, Retries: 1 },
});

const configs: Readonly<Record<ContractApp, ImageConfig>> = {
  waits: { ...shell(obliging), ExposedPorts: { "8080/tcp": {}, "9090/tcp": {}, "53/udp": {} } },
  "ignores-term": shell(stubborn),
  "exits-7": shell("exit 7"),
  "no-such-command": { Cmd: ["/nowhere/app"] },
  "no-such-user": { ...shell(obliging), User: "nobody-knows" },
  "eats-memory": shell("x=aaaaaaaa; while :; do x=$x$x; done"),
  healthy: checkedBy("/bin/true"),
  sick: checkedBy("/bin/false"),
};

const password: RegistryCredentials = { kind: "password", username: "dewy", password: "planted-pass" };

/** The contract's apps as images of busybox in real registries: an open one, and one that wants a password. */
export async function startContractImages(): Promise<ContractImages & AsyncDisposable> {
  const open = await startOciRegistry();
  const locked = await startOciRegistry({ htpasswd: { username: "dewy", password: "planted-pass" } });
  const down = await startOciRegistry();
  await down.stop();
  const base = busyboxLayer();
  const specOf = (app: ContractApp): ImageSpec => ({
    layers: [base],
    files: [marker(app)],
    config: configs[app],
    // OCI's own format has no HEALTHCHECK: Podman drops it there.
    mediaTypes: "docker",
  });
  const push = async (registry: OciRegistry, repository: string, tag: string, app: ContractApp) => {
    await pushImage(registry, repository, tag, specOf(app));
    return { repository: `${registry.host}/${repository}`, tag };
  };
  const pushed = new Map<ContractApp, Promise<ImageName>>();
  return {
    of(app) {
      const name = pushed.get(app) ?? push(open, `contract/${app}`, "1.0.0", app);
      pushed.set(app, name);
      return name;
    },
    async publish(repository, tag, app) {
      return push(open, repository, tag, app);
    },
    async locked() {
      return { ...(await push(locked, "contract/locked", "1.0.0", "waits")), credentials: password };
    },
    async unanswered() {
      return { repository: `${down.host}/contract/down`, tag: "1.0.0" };
    },
    async [Symbol.asyncDispose]() {
      for (const registry of [open, locked, down]) await registry[Symbol.asyncDispose]();
    },
  };
}

/** So that no two apps' images have one id. */
function marker(app: ContractApp): ImageFile {
  return { path: "app", content: app };
}
