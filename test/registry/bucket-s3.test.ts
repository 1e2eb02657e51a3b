import { openFixture } from "../store/s3-fixture.ts";
import { bucketFixture } from "./bucket-fixture.ts";
import { registryContract } from "./contract.ts";

registryContract("s3:// (MinIO)", async () => bucketFixture(await openFixture()));
