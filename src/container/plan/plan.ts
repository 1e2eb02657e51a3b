import { DewyError } from "../../errors.ts";
import type { HealthPolicy } from "../../health/policy.ts";
import type { Digest } from "../../release/release.ts";
import type { Deployment } from "../../replicas/deployment.ts";
import { nameFromRepository } from "../../replicas/labels.ts";
import { engineProblems } from "../run-options/engine-problems.ts";
import { containerEnvironment, type Variables } from "../run-options/env-file.ts";
import { optionsFingerprint } from "../run-options/fingerprint.ts";
import type { RunOptions } from "../run-options/parse.ts";
import type { ContainerRuntime, Image, RuntimeInfo } from "../runtime.ts";
import { creation } from "./creation.ts";
import { type PortRequest, resolvePorts } from "./port-mapping.ts";
import { replicaSpec, usesHealthcheck } from "./replica-spec.ts";

/** What the operator chose for an app's containers, whichever image they are made from. */
export interface AppPlan {
  readonly app: string;
  readonly options: RunOptions;
  /** `--cmd`; empty: the image's CMD. */
  readonly command: readonly string[];
  readonly ports: readonly PortRequest[];
  /** The agent's directory, absolute. */
  readonly root: string;
  readonly agent: { readonly uid: number; readonly gid: number };
  /** dewy's own variables, for `-e NAME`. */
  readonly own: Variables;
}

export interface DeployedImage {
  readonly version: string;
  /** As the registry names it; null: it is not known. */
  readonly digest: Digest | null;
  readonly image: Image;
  /** To create containers from: a name that means this very image, or its id. */
  readonly reference: string;
  readonly deployedAt: Date;
}

/** The app's name where none is given: the last part of the image's. */
export function appName(given: string | null, repository: string): string {
  return given ?? nameFromRepository(repository);
}

/** 12 hexadecimal digits of everything that decides whether an image works here. */
export function setupFingerprint(plan: AppPlan, health: HealthPolicy): string {
  const { options, command, ports, own, agent } = plan;
  const chosen = optionsFingerprint({ options, command, ports: [], own, agent });
  const text = JSON.stringify([chosen, ports, health]);
  return new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, 12);
}

/** Fails with `config-invalid` when a file of variables can't be read. */
export function checkFiles({ options, root, own }: AppPlan): void {
  containerEnvironment(options.environment, root, own);
}

/** Fails with `config-invalid` when this engine would silently ignore an option. */
export function checkEngine({ options }: Pick<AppPlan, "options">, info: RuntimeInfo): void {
  const problems = engineProblems(options, info);
  const [first] = problems;
  if (first === undefined) return;
  const message = problems.map((problem) => problem.message).join("; ");
  throw new DewyError("config-invalid", message, { hint: first.hint });
}

/** A deployment of containers. */
export interface ContainerDeployment extends Deployment {
  /** Its containers run as root though nobody asked for that. */
  readonly rootByDefault: boolean;
}

/** What `engine` is to run of an image. `config-invalid`: the image and the operator's choice don't fit. */
export function planDeployment(
  plan: AppPlan,
  deployed: DeployedImage,
  engine: Pick<ContainerRuntime, "image" | "create">,
): ContainerDeployment {
  const { app, options, command, root, agent, own } = plan;
  const { version, digest, image, reference, deployedAt } = deployed;
  const ports = resolvePorts(plan.ports, image, options);
  const specOf = (replica: number) =>
    replicaSpec({
      app,
      baseName: app,
      options,
      image: { reference, user: image.user, digest },
      ports,
      command,
      version,
      deployedAt,
      replica,
      root,
      agent,
      own,
    });
  return {
    version,
    image: { reference, id: image.id },
    deployedAt,
    options: optionsFingerprint({ options, command, ports, own, agent }),
    ports,
    usesHealthcheck: usesHealthcheck(image, options),
    rootByDefault: specOf(1).rootByDefault,
    ...creation({ reference, id: image.id }, specOf, engine),
  };
}
