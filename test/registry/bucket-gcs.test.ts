import { openGcsFixture } from "../store/gcs-contract-fixture.ts";
import { bucketFixture } from "./bucket-fixture.ts";
import { registryContract } from "./contract.ts";

registryContract("gs:// (fake-gcs-server)", async () => bucketFixture(await openGcsFixture()));
