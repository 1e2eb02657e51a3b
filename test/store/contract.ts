import type { ObjectStore } from "../../src/store/store.ts";
import { bytesContract } from "./contract-bytes.ts";
import { conditionsContract } from "./contract-conditions.ts";
import { filesContract } from "./contract-files.ts";
import { listContract } from "./contract-list.ts";

/** One store for one test. Its disposal closes the store and takes away what the test put there. */
export interface StoreFixture extends AsyncDisposable {
  /** Empty: a directory, a bucket or a prefix of its own. */
  readonly store: ObjectStore;
  /** Gives an object other bytes of the same size behind the store's back; what was said of its digest stays. */
  corrupt(key: string): Promise<void>;
}

export interface StoreTraits {
  /** Why the service's versions are the content's, so that the same bytes again have the same one. */
  readonly versionsFollowContent?: string;
}

/** What every kind of object store must do. */
export function storeContract(
  name: string,
  open: () => Promise<StoreFixture>,
  traits: StoreTraits = {},
): void {
  bytesContract(name, open);
  conditionsContract(name, open, traits);
  listContract(name, open);
  filesContract(name, open);
}
