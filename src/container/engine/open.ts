import { accessSync, constants, statSync } from "node:fs";
import { systemCode } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import { containerListens } from "../health/listening.ts";
import type { ContainerRuntime } from "../runtime.ts";
import { containerWords } from "../words.ts";
import { EngineApi } from "./api.ts";
import {
  createContainer,
  inspectContainer,
  listContainers,
  removeContainer,
  startContainer,
  stopContainer,
} from "./containers.ts";
import {
  chooseEndpoint,
  type Endpoint,
  type EngineKind,
  type Environment,
  type SocketAccess,
} from "./endpoint.ts";
import { refused } from "./failure.ts";
import { findImage, listImages, removeImage } from "./images.ts";
import { pullImage } from "./pull.ts";
import { PodmanService } from "./service.ts";
import { watchContainers } from "./watch.ts";
import { readInfo, readVersion } from "./wire.ts";

export interface EngineOptions {
  readonly kind: EngineKind;
  readonly env: Environment;
}

interface EngineDeps {
  readonly log: Log;
  readonly clock: Clock;
}

/**
 * Docker, or Podman by its compatible API. An engine that is away is no failure here: the calls fail with
 * `engine-unreachable` until it is back. `config-invalid`: the environment names one that dewy can't talk to.
 */
export async function openRuntime(options: EngineOptions, deps: EngineDeps): Promise<ContainerRuntime> {
  const { kind, env } = options;
  const choose = () => chooseEndpoint(kind, { env, access: socketAccess });
  warnOfDistance(choose(), deps.log);
  const service = new PodmanService({ env, ...deps });
  // The one that has answered stays: another engine's empty list is not this one's containers gone.
  let settled: ReturnType<typeof choose> | null = null;
  const endpoint = async (c: Call): Promise<Endpoint> => {
    const choice = settled ?? choose();
    return choice.kind === "service" ? service.endpoint(c) : choice;
  };
  const api = new EngineApi({ endpoint, clock: deps.clock });
  const warned = new Set<string>();
  const warnOnce = (warning: string): void => {
    if (!warned.has(warning)) deps.log.warn("Container engine warns", { warning });
    warned.add(warning);
  };
  return {
    words: containerWords,
    listening: async (container, { appPort }) => containerListens(container, appPort),
    async info(c) {
      const choice = settled ?? choose();
      const info = await runtimeInfo(api, c);
      // Podman's sockets, and the service dewy starts, are ways to the same containers.
      if (kind === "docker") settled = choice;
      return info;
    },
    pull: (request, c) => pullImage(api, request, c),
    image: (reference, c) => findImage(api, reference, c),
    images: (repository, c) => listImages(api, repository, c),
    removeImage: (reference, c) => removeImage(api, reference, c),
    create: (spec, c) => createContainer(api, spec, warnOnce, c),
    start: (id, c) => startContainer(api, id, c),
    inspect: (id, c) => inspectContainer(api, id, c),
    list: (labels, c) => listContainers(api, labels, c),
    stop: (id, graceMs, c) => stopContainer(api, id, graceMs, c),
    remove: (id, c) => removeContainer(api, id, c),
    watch: (labels, onEvent, c) => watchContainers(api, labels, onEvent, c),
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

/** Ports are published on the engine's own loopback: dewy must be on that host. */
function warnOfDistance(choice: ReturnType<typeof chooseEndpoint>, log: Log): void {
  if (choice.kind !== "tcp" || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\]):\d+$/.test(choice.authority)) return;
  log.warn("The container engine is addressed by network", {
    host: choice.authority,
    hint: "run dewy on the engine's own host: it reaches containers on that host's loopback only",
  });
}

async function runtimeInfo(api: EngineApi, c: Call) {
  const doing = "asking the engine about itself";
  const { name, apiVersion } = await api.engine(c);
  const version = await api.json({ path: "/version", doing }, readVersion, c);
  if (!version.ok) throw refused("other", doing, version.refusal);
  const info = await api.json({ path: "/info", doing }, readInfo, c);
  if (!info.ok) throw refused("other", doing, info.refusal);
  const rootless = (info.value.SecurityOptions ?? []).some((option) => /(^|,)name=rootless/.test(option));
  return { name, version: version.value.Version, apiVersion, rootless };
}

function socketAccess(path: string): SocketAccess {
  try {
    if (!statSync(path).isSocket()) return "absent";
    accessSync(path, constants.R_OK | constants.W_OK);
    return "usable";
  } catch (error) {
    return systemCode(error) === "EACCES" ? "denied" : "absent";
  }
}
