import type { Deployment } from "../../replicas/deployment.ts";
import type { ContainerRuntime, ContainerSpec } from "../runtime.ts";

/** How an engine makes the containers of a deployment, each from its spec. */
export function creation(
  image: Deployment["image"],
  specOf: (replica: number) => ContainerSpec,
  engine: Pick<ContainerRuntime, "image" | "create">,
): Pick<Deployment, "nameOf" | "create"> {
  return {
    nameOf: (replica) => specOf(replica).name,
    async create(replica, c) {
      const spec = specOf(replica);
      // A name reads better than an id, but it may have come to mean another image since.
      const named = await engine.image(image.reference, c);
      const isSame = named?.id === image.id;
      return await engine.create(isSame ? spec : { ...spec, body: { ...spec.body, Image: image.id } }, c);
    },
  };
}
