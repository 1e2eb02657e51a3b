/** What marks a container as one of dewy's. The first five are the original's; its containers lack the others. */
const keys = {
  managed: "dewy.managed",
  app: "dewy.app",
  deployedAt: "dewy.deployed_at",
  replica: "dewy.replica",
  version: "dewy.version",
  root: "dewy.root",
  options: "dewy.options",
  digest: "dewy.digest",
} as const;

export interface ReplicaLabels {
  readonly app: string;
  readonly version: string;
  readonly deployedAt: Date;
  readonly replica: number;
  /** The directory of the agent it belongs to. */
  readonly root: string;
  /** Of what the operator chose for it (`optionsFingerprint`). */
  readonly options: string;
  /** The image's, as its registry names it; null: the registry gave none. */
  readonly digest: string | null;
}

/** As they are found; null: not there, or not readable. */
export type FoundLabels = { readonly [K in keyof ReplicaLabels]: ReplicaLabels[K] | null };

/** Labels that start so are dewy's. */
export function isReservedLabel(key: string): boolean {
  return key.startsWith("dewy.");
}

export function writeLabels(labels: ReplicaLabels): Record<string, string> {
  return {
    [keys.managed]: "true",
    [keys.app]: labels.app,
    [keys.deployedAt]: labels.deployedAt.toISOString().replace(/\.\d+Z$/, "Z"),
    [keys.replica]: String(labels.replica),
    [keys.version]: labels.version,
    [keys.root]: labels.root,
    [keys.options]: labels.options,
    ...(labels.digest === null ? {} : { [keys.digest]: labels.digest }),
  };
}

/** null: the container is not dewy's. */
export function readLabels(labels: Readonly<Record<string, string>>): FoundLabels | null {
  if (labels[keys.managed] !== "true") return null;
  const text = (key: string) => labels[key] || null;
  const deployedAt = new Date(text(keys.deployedAt) ?? Number.NaN);
  const replica = text(keys.replica);
  return {
    app: text(keys.app),
    version: text(keys.version),
    deployedAt: Number.isNaN(deployedAt.getTime()) ? null : deployedAt,
    replica: replica !== null && /^\d{1,9}$/.test(replica) ? Number(replica) : null,
    root: text(keys.root),
    options: text(keys.options),
    digest: text(keys.digest),
  };
}

/** For `ContainerRuntime.list` and `watch`: the containers of one app on this host, the original's too. */
export function labelsOfApp(app: string): Record<string, string> {
  return { [keys.managed]: "true", [keys.app]: app };
}

/** `<base>-<unix time>-<replica>` */
export function containerName(base: string, deployedAt: Date, replica: number): string {
  return `${base}-${Math.floor(deployedAt.getTime() / 1000)}-${replica}`;
}

/** `ghcr.io/acme/shop` → `shop`, in the characters that a container's name may have. */
export function nameFromRepository(repository: string): string {
  const last = repository.split("/").at(-1) ?? "";
  const name = last.replaceAll(/[^a-zA-Z0-9_.-]/g, "-").replace(/^[^a-zA-Z0-9]+/, "");
  return name === "" ? "app" : name.slice(0, 200);
}
