import { records } from "../events.ts";
import type { ReplicaWords } from "../replicas/words.ts";

export const processWords: ReplicaWords = {
  noun: "process",
  plural: "processes",
  source: "release",
  // A release that fails is removed from this host: there is nothing left to run by hand.
  whyItEnds: () => "see the app's own output, which goes where dewy's does",
  records: {
    rollingStarted: "Starting rolling update",
    found: "Found running processes",
    starting: "Starting new process",
    portMapping: null,
    started: "Process started",
    portMapped: null,
    healthChecking: "Health checking new process",
    startFailed: "Process start failed",
    inRotation: "Process added to load balancer",
    rollingDone: "Rolling update completed",
    rollingBackDeployment: records.rollingBackDeployment,
    rollingBack: "Rolling back processes",
    failedRemoved: "Removing failed process",
    oldStopping: "Stopping old process",
    oldRemoving: "Removing old process",
    cleaningUp: "Cleaning up processes",
    managedStoppingAll: "Stopping processes",
    managedStopping: "Stopping process",
    managedStopped: "Process stopped",
    managedRemoving: "Removing process",
    managedRemoved: "Process removed",
    cleanedUp: records.cleanedUp,
  },
};
