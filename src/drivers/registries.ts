import { DewyError } from "../errors.ts";
import type { ImageSource } from "../oci/image-source.ts";
import type { Registry } from "../registry/registry.ts";
import { type HostSelection, selectionOf, selectionParams, selectPolicy } from "../registry/selection.ts";
import type { ArtifactSource } from "../release/source.ts";
import { noOrder, type TagOrder, tagOrder } from "../release/version.ts";
import { build } from "../version.ts";
import { artifactSchemes, openArtifactSource } from "./artifact-sources.ts";
import { type DriverDeps, type Drivers, driverOf, type Environment, schemeOf } from "./driver.ts";
import { bucketStores, directoryStore, type StoreDriver } from "./stores.ts";

/** Reads a URL completely, touching nothing, and answers what opens it; `config-invalid` if it is not right. */
type RegistryDriver<T> = (
  url: URL,
  host: HostSelection,
  env: Environment,
) => (deps: DriverDeps) => Promise<T>;

export interface OpenRegistry {
  readonly registry: Registry;
  /** For the artifact URLs its releases hold. */
  readonly source: ArtifactSource;
  readonly order: TagOrder;
}

export interface OpenImageRegistry {
  readonly registry: Registry;
  /** For whoever pulls its images. */
  readonly images: ImageSource;
  readonly order: TagOrder;
}

/** Releases as `<version>/<file>` in a store. */
const bucket = (load: () => Promise<StoreDriver>) => async (): Promise<RegistryDriver<OpenRegistry>> => {
  const { openBucket } = await import("../registry/bucket/registry.ts");
  const store = await load();
  return (url, host) => {
    const { query, open } = store.read(url, selectionParams);
    const selection = selectionOf(query);
    const policy = selectPolicy(selection, host);
    return async (deps) => {
      const opened = openBucket(await open(deps), { ...deps, policy, artifact: selection.artifact });
      return { ...opened, order: tagOrder(policy.scheme) };
    };
  };
};

const github = async (): Promise<RegistryDriver<OpenRegistry>> => {
  const { parseGithubUrl } = await import("../registry/github/url.ts");
  const { readGithubEnvironment } = await import("../registry/github/environment.ts");
  return (url, host, env) => {
    const options = parseGithubUrl(url);
    const environment = readGithubEnvironment(env);
    const policy = selectPolicy(options, host);
    return async (deps) => {
      const { openGithub } = await import("../registry/github/registry.ts");
      const opened = openGithub(options, { ...deps, policy, environment });
      return { ...opened, order: tagOrder(policy.scheme) };
    };
  };
};

const grpc = async (): Promise<RegistryDriver<OpenRegistry>> => {
  const { parseGrpcUrl } = await import("../registry/grpc/url.ts");
  return (url, host) => {
    const options = parseGrpcUrl(url, host);
    return async (deps) => {
      const { openGrpcRegistry } = await import("../registry/grpc/registry.ts");
      const userAgent = `dewy/${build.version}`;
      const registry = openGrpcRegistry(options, { ...deps, userAgent, artifactSchemes });
      return { registry, source: openArtifactSource(deps), order: noOrder };
    };
  };
};

const oci = async (): Promise<RegistryDriver<OpenImageRegistry>> => {
  const { parseOciUrl, openOciRegistry } = await import("../registry/oci.ts");
  return (url, host) => {
    const options = parseOciUrl(url, host);
    const { follow } = options;
    const order = follow.kind === "versions" ? tagOrder(follow.policy.scheme) : noOrder;
    return async (deps) => ({ ...openOciRegistry(options, deps), order });
  };
};

export const archiveRegistries: Drivers<RegistryDriver<OpenRegistry>> = {
  file: bucket(directoryStore),
  ghr: github,
  s3: bucket(bucketStores.s3),
  gs: bucket(bucketStores.gs),
  grpc,
};

export const imageRegistries: Drivers<RegistryDriver<OpenImageRegistry>> = { img: oci, docker: oci };

export async function readArchiveRegistry(url: string, host: HostSelection, env: Environment) {
  if (schemeOf(url) in imageRegistries) {
    throw new DewyError("config-invalid", `--registry: ${schemeOf(url)}:// has images`, {
      hint: "run dewy container, or name a registry of archives",
    });
  }
  const driver = await driverOf("--registry", archiveRegistries, url);
  return driver(new URL(url), host, env);
}

export async function readImageRegistry(url: string, host: HostSelection, env: Environment) {
  if (schemeOf(url) in archiveRegistries) {
    throw new DewyError("config-invalid", `--registry: ${schemeOf(url)}:// has archives`, {
      hint: "run dewy server or dewy assets, or name a registry of images: img://host/name",
    });
  }
  const driver = await driverOf("--registry", imageRegistries, url);
  return driver(new URL(url), host, env);
}
