import type { Call } from "../util/async.ts";
import type { Activation, DeliveryStatus } from "./delivery.ts";

/** A release in its directory, ready to be made the current one. */
export interface StagedArtifact {
  readonly tag: string;
  /** The release directory's name. */
  readonly release: string;
  /** It was good, as what runs is not: it is to be had even if its checks fail, as long as it stays up. */
  readonly returning?: boolean;
}

/** What activation lets the deploy do at its two turning points. */
export interface ActivationSteps {
  /** `current` leads to the release and the app does not know yet: the after hook's moment. */
  switched(): Promise<void>;
  /** The release has proved itself: what is recorded becomes it. */
  commit(): Promise<void>;
}

/** Puts release directories into use. All or nothing: a failed activation leaves things as they were. */
export interface Activator extends AsyncDisposable {
  /** Serves the recorded release at once, before the first poll; null: nothing is recorded. */
  resume(release: string | null, c: Call): Promise<void>;
  activate(staged: StagedArtifact, steps: ActivationSteps, c: Call): Promise<Activation>;
  /** The current release's app in a new process; what has none does nothing. */
  restart(c: Call): Promise<void>;
  status(): DeliveryStatus;
}
