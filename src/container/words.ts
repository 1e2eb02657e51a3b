import { records } from "../events.ts";
import type { ReplicaWords } from "../replicas/words.ts";

export const containerWords: ReplicaWords = {
  noun: "container",
  plural: "containers",
  source: "image",
  whyItEnds: (reference) => `run ${reference} by hand to see what it prints`,
  records: {
    rollingStarted: records.rollingStarted,
    found: records.containersFound,
    starting: records.containerStarting,
    portMapping: records.portMapping,
    started: records.containerStarted,
    portMapped: records.portMapped,
    healthChecking: records.healthChecking,
    startFailed: records.containerStartFailed,
    inRotation: records.inRotation,
    rollingDone: records.rollingDone,
    rollingBackDeployment: records.rollingBackDeployment,
    rollingBack: records.rollingBack,
    failedRemoved: records.failedRemoved,
    oldStopping: records.oldStopping,
    oldRemoving: records.oldRemoving,
    cleaningUp: records.cleaningUp,
    managedStoppingAll: records.managedStoppingAll,
    managedStopping: records.managedStopping,
    managedStopped: records.managedStopped,
    managedRemoving: records.managedRemoving,
    managedRemoved: records.managedRemoved,
    cleanedUp: records.cleanedUp,
  },
};
