/** How people are told of an app's copies. The log's records are matched on, so that each kind has its own. */
export interface ReplicaWords {
  /** One copy; also the attribute that names it in the log. */
  readonly noun: "container" | "process";
  readonly plural: string;
  /** What it is made from: the attribute that names it. */
  readonly source: string;
  /** What an operator can do to see why a copy of this (`Deployment.image`) ends. */
  whyItEnds(reference: string): string;
  readonly records: ReplicaRecords;
}

export interface ReplicaRecords {
  readonly rollingStarted: string;
  readonly found: string;
  readonly starting: string;
  /** null: its port is nothing to tell of. */
  readonly portMapping: string | null;
  readonly started: string;
  readonly portMapped: string | null;
  readonly healthChecking: string;
  readonly startFailed: string;
  readonly inRotation: string;
  readonly rollingDone: string;
  readonly rollingBackDeployment: string;
  readonly rollingBack: string;
  readonly failedRemoved: string;
  readonly oldStopping: string;
  readonly oldRemoving: string;
  readonly cleaningUp: string;
  readonly managedStoppingAll: string;
  readonly managedStopping: string;
  readonly managedStopped: string;
  readonly managedRemoving: string;
  readonly managedRemoved: string;
  readonly cleanedUp: string;
}
