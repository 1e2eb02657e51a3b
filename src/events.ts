import type { DeployRecord, Digest } from "./release/release.ts";

export type Command = DeployRecord["command"];

/** What can go wrong for a while: asking the registry, deploying a release, the app itself. */
export type Trouble = "check" | "deploy" | "app";

/** Where an error stands among those of its kind since the last good moment; the limiter adds it. */
export interface ErrorRun {
  /** This one included. */
  readonly count: number;
  /** It is the last one that is told: until it is over, or, coming and going, until it has been calm; null: it is not. */
  readonly lastUntil: "over" | "calm" | null;
}

/** What the agent tells people about. Notifiers render it; the log has its own records (`records` below). */
export type DeployEvent =
  | { readonly kind: "agent-started"; readonly version: string; readonly command: Command }
  | { readonly kind: "agent-stopping"; readonly reason: string }
  | { readonly kind: "deploying"; readonly tag: string; readonly command: Command }
  | { readonly kind: "downloaded" | "pulled"; readonly tag: string }
  | {
      readonly kind: "deployed";
      readonly tag: string;
      readonly fromTag: string | null;
      readonly durationMs: number;
      readonly how: "started" | "restarted" | "placed" | "rolled";
      readonly hasPort: boolean;
    }
  | { readonly kind: "hook"; readonly hook: "before" | "after"; readonly result: HookResult }
  | { readonly kind: "restarted"; readonly signal: string }
  | {
      readonly kind: "failed";
      readonly tag: string | null;
      readonly message: string;
      readonly hint: string | null;
      /** What goes on serving. */
      readonly servingTag: string | null;
      readonly run?: ErrorRun;
    }
  | {
      /** What went wrong goes well again. Never held back. */
      readonly kind: "recovered";
      readonly trouble: Trouble;
      readonly errors: number;
      /** Of those, how many nobody was told of. */
      readonly heldBack: number;
      /** More than one: it came and went. */
      readonly outages: number;
      /** From the first error to now. */
      readonly durationMs: number;
    }
  | {
      /** There was no room to keep them until the notifier could take them. */
      readonly kind: "dropped";
      readonly count: number;
    }
  | {
      /** Its deploy failed, and it is not tried again by itself. */
      readonly kind: "quarantined";
      readonly tag: string;
      readonly digest: Digest | null;
      readonly reason: string;
      /** What the failure itself says is to be done. */
      readonly hint?: string | null | undefined;
      /** What goes on serving. */
      readonly servingTag?: string | null | undefined;
    }
  | {
      /** It failed after its deploy, and the release before it is back; it is set aside, too. */
      readonly kind: "rolled-back";
      /** What serves again. */
      readonly tag: string;
      /** What failed. */
      readonly fromTag: string;
      readonly reason: string;
    }
  | {
      /** It failed after its deploy and should be left, and can't be: it goes on. Never held back. */
      readonly kind: "stranded";
      readonly tag: string;
      readonly reason: string;
      /** Why it can't be left. */
      readonly why: string;
      readonly hint: string;
    }
  | {
      readonly kind: "replica-lost";
      /** It ended, failed its checks, or its replacement did not come up. */
      readonly how: "died" | "sick" | "not-started";
      readonly tag: string;
      /** Its name; null: there is none. */
      readonly container: string | null;
      /** What it is; a container unless it says otherwise. */
      readonly unit?: "process";
      readonly reason: string;
      readonly delayMs: number;
      readonly run?: ErrorRun;
    }
  | {
      readonly kind: "crashed";
      readonly tag: string | null;
      readonly reason: string;
      readonly delayMs: number;
      readonly run?: ErrorRun;
    };

export interface HookResult {
  readonly command: string;
  /** Trimmed, and cut to its last 64 KiB. */
  readonly stdout: string;
  readonly stderr: string;
  /** null: ended by a signal or the deadline. */
  readonly exitCode: number | null;
  readonly durationMs: number;
  readonly timedOut: boolean;
}

/** Log records that people and scripts match on, as the compatibility sheet names them. */
export const records = {
  started: "Dewy started",
  startNotice: "Dewy start notification",
  cached: "Cached artifact",
  skipped: "Deploy skipped",
  slotMismatch: "Deploy skipped: slot mismatch",
  withinGrace: "Artifact not found within grace period",
  downloadNotice: "Download notification",
  serverStartNotice: "Start notification",
  restartNotice: "Restart notification",
  shutdownNotice: "Shutdown notification",
  extract: "Extract archive",
  symlink: "Create symlink",
  keepReleases: "Keep releases",
  hook: "Execute hook",
  hookFailed: "Execute hook failed",
  beforeHookFailed: "Before deploy hook failure",
  afterHookFailed: "After deploy hook failure",
  startServer: "Start server",
  restartServer: "Send SIGHUP for server restart",
  report: "Report shipping",
  answersShared: "Registry result cache enabled",
  answerRefreshed: "Registry result refreshed from upstream",
  answerStale: "upstream registry failed; serving stale cache",
  staysHere: "Artifact stays on this host: Consul is no blob store",
  waitingForDownload: "Waiting for another host's download",
  runFailed: "Dewy run failure",
  goingBack: "Going back to the release before",
  wentBack: "Went back to the release before",
  stranded: "Release should be left, and can't be",
  strandingOver: "Release that could not be left is well",
  soaking: "Soak begun",
  soaked: "Soak passed",
  held: "Held",
  holdEnded: "Hold ended",
  proxyStarting: "Starting built-in reverse proxy",
  proxyStarted: "TCP proxy started",
  proxiesStarted: "All TCP proxies started successfully",
  reverseProxyStarted: "Reverse proxy started successfully",
  proxyStopping: "Stopping reverse proxy",
  backendAdded: "Backend added to TCP proxy",
  backendRemoved: "Backend removed from TCP proxy",
  backendUpdated: "Proxy backend updated",
  pulling: "Pulling new image",
  pullingImage: "Pulling image",
  pulled: "Image pull complete",
  pullNotice: "Image pull notification",
  pullNoticeOriginal: "Pull notification",
  pullFailed: "Image pull failed",
  rollingStarted: "Starting container deployment",
  containersFound: "Found existing containers",
  containerStarting: "Starting new container",
  portMapping: "Adding localhost-only port mapping",
  containerStarted: "Container started",
  portMapped: "Container port mapped",
  healthChecking: "Health checking new container",
  healthPassed: "Health check passed",
  healthFailed: "Health check failed",
  healthUnknown: "Health could not be checked",
  inRotation: "Container added to load balancer",
  rollingDone: "Container deployment completed",
  deployDone: "Deployment completed successfully",
  rollingBack: "Rolling back containers",
  rollingBackDeployment: "Rolling back deployment",
  failedRemoved: "Removing failed container",
  containerStartFailed: "Container start failed",
  oldStopping: "Stopping old container",
  oldRemoving: "Removing old container",
  keepImages: "Keep images",
  imageRemoving: "Removing old image",
  shuttingDown: "Shutting down gracefully",
  cleaningUp: "Cleaning up managed containers",
  managedStoppingAll: "Stopping managed containers",
  managedStopping: "Stopping managed container",
  managedStopped: "Managed container stopped",
  managedRemoving: "Removing managed container",
  managedRemoved: "Managed container removed",
  cleanedUp: "Cleanup completed",
  adminStarted: "Admin API server started",
  telemetryEnabled: "Telemetry enabled",
} as const;
