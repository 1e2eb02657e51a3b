import type { DeployableRelease, Digest, PlacedRelease } from "../release/release.ts";
import type { Call } from "../util/async.ts";

/** How releases of one kind get from their registry into use: archives into directories, images into containers. */
export interface Delivery extends AsyncDisposable {
  /** What people are told once a release's content is on this host. */
  readonly arrival: "downloaded" | "pulled";
  /** Names how it puts releases into use, as far as that decides whether they work; empty: it does not. */
  readonly setup: string;
  /** What runs here although no record says so; null: nothing, or it can't be told which release it is. */
  find(c: Call): Promise<PlacedRelease | null>;
  /** Removes what a killed agent left in the middle of its work. */
  recover(current: PlacedRelease | null): void;
  /** Whether what is recorded is in place still. */
  isIntact(current: PlacedRelease): boolean;
  /** Puts the first of the recorded releases that is still there in place again; null: none is. */
  restore(recorded: readonly PlacedRelease[]): PlacedRelease | null;
  /** Serves what is in place at once, before the first poll. */
  resume(inPlace: PlacedRelease | null, c: Call): Promise<void>;
  /** Gets the release's content, checked, onto this host. */
  obtain(release: DeployableRelease, c: Call, onReceived?: Received): Promise<ObtainedRelease>;
  /** A release that was in use here before, from what this host kept of it; null: nothing that can be used. */
  revive(placed: PlacedRelease, c: Call): Promise<ObtainedRelease | null>;
  /** What is kept here under the release's name is no longer what is published. */
  forget(release: DeployableRelease, c: Call): Promise<void>;
  /** The current release's app anew; what has none does nothing. */
  restart(c: Call): Promise<void>;
  status(): DeliveryStatus;
  /**
   * After a deploy what is no longer needed goes; answers which releases are left. `keep`: how many stay in any case.
   * Never fails a deploy.
   */
  tidyUp(placed: PlacedReleases, keep: number, c: Call): Promise<ReadonlySet<string>>;
}

/** How much of a release has come by now; `totalBytes` null: nobody knows of how much. */
export type Received = (bytes: number, totalBytes: number | null) => void;

/** A release's content on this host, until it is disposed of. */
export interface ObtainedRelease extends Disposable {
  /** null: of a release that the Go original put here, which nobody knows. */
  readonly digest: Digest | null;
  /** false: it was here already. */
  readonly fetched: boolean;
  /** Puts it into use. All or nothing: a failure leaves things as they were. */
  deliver(steps: DeliverySteps, c: Call): Promise<Activation>;
}

/** What a delivery lets the deploy do at its turning points. */
export interface DeliverySteps {
  /** It was good, as what runs is not: it is to be had even if its checks fail, as long as it stays up. */
  readonly returning?: boolean;
  /** It is beside the others, not in use. `directory`: where its files are; null where it has none. */
  staged(directory: string | null): void;
  /** It is in place: the after hook's moment. `directory` as before; `c` ends with what the hook would be for. */
  switched(directory: string | null, c: Call): Promise<void>;
  /** It has proved itself: what is recorded becomes it. `release` names it on this host. */
  commit(release: string): Promise<void>;
}

export interface Activation {
  readonly how: "started" | "restarted" | "placed" | "rolled";
}

export type DeliveryStatus =
  | { readonly kind: "idle" }
  | {
      readonly kind: "serving";
      readonly release: string;
      readonly pid: number | null;
      /** Of a server's processes, the how manieth. */
      readonly generation?: number;
      /** Of so many replicas so many serve; a server has none. */
      readonly replicas?: number;
      readonly inRotation?: number;
    }
  | { readonly kind: "starting"; readonly pid: number | null }
  | { readonly kind: "down"; readonly reason: string };

/** What the record says of this host's releases. */
export interface PlacedReleases {
  readonly current: PlacedRelease | null;
  readonly previous: PlacedRelease | null;
  /** What was just replaced: its app may still be ending; null: nothing. */
  readonly left?: PlacedRelease | null;
  /** All that were placed and not tidied up yet, by their name on this host. */
  readonly releases: Readonly<
    Record<string, { readonly tag: string; readonly artifact: string; readonly digest: Digest | null }>
  >;
}
