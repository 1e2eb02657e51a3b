import { inRelease, releaseVariable } from "../process/in-release.ts";
import type { Deployment } from "../replicas/deployment.ts";
import { containerName, writeLabels } from "../replicas/labels.ts";
import type { User } from "../util/user.ts";
import type { ProcessEngine } from "./engine.ts";
import type { ProcessSpec } from "./spec.ts";

/** What the operator chose for an app's processes, whichever release they run. */
export interface ProcessPlan {
  readonly app: string;
  /** The agent's directory, absolute. */
  readonly root: string;
  readonly command: readonly string[];
  /** The proxy's ports, and the variable by which the app is told its own for each. */
  readonly ports: readonly { readonly port: number; readonly variable: string }[];
  readonly envDir: string | null;
  readonly user: User | null;
}

export interface DeployedRelease {
  readonly version: string;
  /** The release directory's name, and the time in it. */
  readonly release: string;
  readonly deployedAt: Date;
}

/** What `engine` is to run of a release. */
export function planProcesses(
  plan: ProcessPlan,
  { version, release, deployedAt }: DeployedRelease,
  engine: Pick<ProcessEngine, "create">,
): Deployment {
  const { app, root } = plan;
  const options = fingerprint(plan);
  const nameOf = (replica: number) => containerName(app, deployedAt, replica);
  const specOf = (replica: number): ProcessSpec => ({
    name: nameOf(replica),
    release,
    command: plan.command.map((word) => inRelease(word, root, release)),
    labels: writeLabels({ app, version, deployedAt, replica, root, options, digest: null }),
    env: { [releaseVariable]: `${root}/releases/${release}` },
    ports: plan.ports.map(({ port, variable }) => ({ appPort: port, variable })),
  });
  return {
    version,
    image: { reference: release, id: release },
    deployedAt,
    options,
    ports: plan.ports.map(({ port }) => ({ proxyPort: port, appPort: port })),
    usesHealthcheck: false,
    nameOf,
    create: async (replica) => engine.create(specOf(replica)),
  };
}

/** 12 hexadecimal digits of what decides how a release is run. */
function fingerprint({ command, ports, envDir, user }: ProcessPlan): string {
  const text = JSON.stringify([command, ports, envDir, user?.uid ?? null, user?.gid ?? null]);
  return new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, 12);
}
