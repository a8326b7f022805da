// @confluentinc/kafka-javascript, for the tests of its consumers: `{ KafkaJS }`, or `{ skip }` with the reason.
//
// `run-tests` has fetched it into target/node-confluent, where it can: its native part comes from GitHub's releases. In
// TIDEGATE_CONFLUENT stands another folder that has it in its node_modules.
import { createRequire } from 'node:module';

const OWN = new URL('../../../target/node-confluent', import.meta.url).pathname;

export function confluent() {
  const folder = process.env.TIDEGATE_CONFLUENT ?? OWN;
  try {
    const { KafkaJS } = createRequire(`${folder}/package.json`)('@confluentinc/kafka-javascript');
    return { KafkaJS };
  } catch (error) {
    if (process.env.TIDEGATE_CONFLUENT !== undefined) throw error;
    return { skip: 'no @confluentinc/kafka-javascript (its native part is fetched from GitHub)' };
  }
}
