import { resolve } from "node:path";
import { DewyError } from "../../errors.ts";
import { containerName, writeLabels } from "../../replicas/labels.ts";
import type { PortMapping } from "../../replicas/ports.ts";
import type { CreateBody, Mount } from "../create-body.ts";
import type { Bind } from "../run-options/draft.ts";
import { containerEnvironment, type Variables } from "../run-options/env-file.ts";
import { optionsFingerprint } from "../run-options/fingerprint.ts";
import type { RunOptions } from "../run-options/parse.ts";
import type { ContainerSpec, Image } from "../runtime.ts";
import { portBindings } from "./port-mapping.ts";
import { replicaUser } from "./user.ts";

export interface ReplicaRequest {
  readonly app: string;
  /** The base of its name where `--name` gives none. */
  readonly baseName: string;
  readonly options: RunOptions;
  readonly image: {
    /** To create from: an id, or `name@digest`. */
    readonly reference: string;
    readonly user: string;
    /** As its registry names it. */
    readonly digest: string | null;
  };
  readonly ports: readonly PortMapping[];
  /** `--cmd`; empty: the image's CMD. */
  readonly command: readonly string[];
  readonly version: string;
  readonly deployedAt: Date;
  readonly replica: number;
  /** The agent's directory, absolute. */
  readonly root: string;
  readonly agent: { readonly uid: number; readonly gid: number };
  /** dewy's own variables, for `-e NAME`. */
  readonly own: Variables;
}

export interface ReplicaSpec extends ContainerSpec {
  /** It runs as root and nobody asked for that: worth one warning per image. */
  readonly rootByDefault: boolean;
}

/** The same request gives the same spec, but for the files of `--env-file`; an unreadable one is `config-invalid`. */
export function replicaSpec(request: ReplicaRequest): ReplicaSpec {
  const { options, image, deployedAt, replica } = request;
  const { user, rootByDefault } = replicaUser({
    chosen: options.config.User ?? null,
    image: image.user,
    agent: request.agent,
  });
  return {
    name: containerName(options.name ?? request.baseName, deployedAt, replica),
    platform: options.platform,
    body: bodyOf(request, user),
    rootByDefault,
  };
}

/** Whether the engine will watch the container's health: by the operator's command, or by the image's. */
export function usesHealthcheck(
  image: Pick<Image, "hasHealthcheck">,
  { config }: Pick<RunOptions, "config">,
): boolean {
  const command = config.Healthcheck?.Test;
  return command === undefined ? image.hasHealthcheck : command[0] !== "NONE";
}

function bodyOf(request: ReplicaRequest, user: string | null): CreateBody {
  const { options, command, root } = request;
  const { config, host, networking } = options;
  const { ExposedPorts, PortBindings } = portBindings(request.ports);
  const env = containerEnvironment(options.environment, root, request.own);
  const binds = options.binds.map((bind) => bindText(bind, root));
  const mounts = options.mounts.map((mount) => absolute(mount, root));
  return {
    ...config,
    Image: request.image.reference,
    Labels: { ...config.Labels, ...labelsOf(request) },
    ExposedPorts: { ...config.ExposedPorts, ...ExposedPorts },
    ...(user === null ? {} : { User: user }),
    ...(command.length === 0 ? {} : { Cmd: command }),
    ...(env.length === 0 ? {} : { Env: env }),
    HostConfig: {
      ...host,
      PortBindings,
      ...(binds.length === 0 ? {} : { Binds: binds }),
      ...(mounts.length === 0 ? {} : { Mounts: mounts }),
    },
    ...(networking === null ? {} : { NetworkingConfig: networking }),
  };
}

function labelsOf(request: ReplicaRequest): Record<string, string> {
  const { app, version, deployedAt, replica, root, image } = request;
  const options = optionsFingerprint(request);
  return writeLabels({ app, version, deployedAt, replica, root, options, digest: image.digest });
}

function bindText({ source, target, modes }: Bind, root: string): string {
  const from = source.startsWith(".") ? resolve(root, source) : source;
  if (from.includes(":")) {
    throw new DewyError("config-invalid", `--volume cannot name ${from}: it holds a colon`, {
      hint: `write --mount type=bind,source=${source},target=${target}`,
    });
  }
  return modes === "" ? `${from}:${target}` : `${from}:${target}:${modes}`;
}

function absolute(mount: Mount, root: string): Mount {
  return mount.Source?.startsWith(".") ? { ...mount, Source: resolve(root, mount.Source) } : mount;
}
