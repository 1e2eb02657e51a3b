import { DewyError } from "../errors.ts";
import type { ArtifactSource } from "../release/source.ts";
import type { DriverDeps, Drivers } from "./driver.ts";
import { bucketStores, type StoreDriver } from "./stores.ts";

/** Opens the files below the one place that an artifact's URL names. */
interface SourceDriver {
  /** That place, of all URLs that one source serves. */
  placeOf(url: URL): string;
  open(place: URL, deps: DriverDeps): Promise<ArtifactSource>;
}

const noSelection = { slot: null, calver: null } as const;

const github = async (): Promise<SourceDriver> => {
  const { parseGithubUrl } = await import("../registry/github/url.ts");
  const { readGithubEnvironment } = await import("../registry/github/environment.ts");
  const { openGithub } = await import("../registry/github/registry.ts");
  const { selectPolicy } = await import("../registry/selection.ts");
  return {
    placeOf: (url) => `ghr://${url.host}/${url.pathname.split("/")[1] ?? ""}`,
    async open(place, deps) {
      const options = parseGithubUrl(place);
      const policy = selectPolicy(options, noSelection);
      return openGithub(options, { ...deps, policy, environment: readGithubEnvironment(deps.env) }).source;
    },
  };
};

const https = async (): Promise<SourceDriver> => {
  const { httpsSource } = await import("../registry/https-source.ts");
  return { placeOf: (url) => url.origin, open: async (_, { http }) => httpsSource(http) };
};

/** The whole bucket, whatever the file's key is. */
const bucket =
  (load: () => Promise<StoreDriver>, rootOf: (url: URL) => string) => async (): Promise<SourceDriver> => {
    const { bucketSource } = await import("../registry/bucket/source.ts");
    const store = await load();
    return {
      placeOf: rootOf,
      open: async (place, deps) => bucketSource(await store.read(place, {}).open(deps)),
    };
  };

const drivers: Drivers<SourceDriver> = {
  ghr: github,
  https,
  s3: bucket(bucketStores.s3, (url) => `s3://${url.host}/${url.pathname.split("/")[1] ?? ""}`),
  gs: bucket(bucketStores.gs, (url) => `gs://${url.host}`),
};

/** What a registry's server may name; above all no file of this host. */
export const artifactSchemes: readonly string[] = Object.keys(drivers);

/** For URLs that a registry's server names: by scheme, each opened once, when it is first asked for. */
export function openArtifactSource(deps: DriverDeps): ArtifactSource {
  const opened = new Map<string, Promise<ArtifactSource>>();
  return {
    async open(file, resume, c) {
      const url = new URL(file.url);
      const load = drivers[url.protocol.slice(0, -1)];
      if (load === undefined) {
        throw new DewyError("bad-answer", `${file.name}: dewy opens no ${url.protocol}// URLs`);
      }
      const driver = await load();
      const place = driver.placeOf(url);
      const source = opened.get(place) ?? driver.open(new URL(place), deps);
      opened.set(place, source);
      // What could not be opened is tried anew.
      source.catch(() => opened.delete(place));
      return (await source).open(file, resume, c);
    },
  };
}
