import type { ObjectStore } from "../store/store.ts";
import { type QuerySpec, type QueryValues, readQueries, readQuery } from "../util/query.ts";
import type { DriverDeps, Drivers } from "./driver.ts";

/** Reads a store's URL, whose query holds parameters of the store's user too; opens it later. */
export interface StoreDriver {
  read<Q extends QuerySpec>(
    url: URL,
    others: Q,
  ): { readonly query: QueryValues<Q>; open(deps: DriverDeps): Promise<ObjectStore> };
}

/** Buckets. Each kind serves registries, caches and artifact URLs alike. */
export const bucketStores = {
  s3: async () => {
    const { readS3Url, s3Params } = await import("../store/s3/url.ts");
    return {
      read(url, others) {
        const [own, query] = readQueries(url, s3Params, others);
        const options = readS3Url(url, own);
        const open = async (deps: DriverDeps) =>
          (await import("../store/s3/store.ts")).openS3Store(options, deps);
        return { query, open };
      },
    };
  },
  gs: async () => {
    const { gcsParams, readGcsUrl } = await import("../store/gcs/url.ts");
    return {
      read(url, others) {
        const [own, query] = readQueries(url, gcsParams, others);
        const options = readGcsUrl(url, own);
        const open = async (deps: DriverDeps) =>
          (await import("../store/gcs/store.ts")).openGcsStore(options, deps);
        return { query, open };
      },
    };
  },
} as const satisfies Drivers<StoreDriver>;

export const directoryStore = async (): Promise<StoreDriver> => {
  const { openLocalStore, readLocalUrl } = await import("../store/local.ts");
  return {
    read(url, others) {
      const { directory } = readLocalUrl(url);
      return { query: readQuery(url, others), open: async () => openLocalStore(directory) };
    },
  };
};
