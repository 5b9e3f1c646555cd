import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Need, findProgram, needProgram } from './available.ts';

const VERSION = '4.1.1';
const CACHE = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');

/** Where the jars lie; they are shared by all clones of the repository. */
export const KAFKA_JARS: string = process.env['KAFKA_JARS'] ?? join(CACHE, 'millrace', `kafka-${VERSION}`);

export function kafkaNeed(): Need | null {
  if (findProgram('java') === null) return { missing: 'java', install: 'apt-get install openjdk-17-jre-headless' };
  if (!existsSync(join(KAFKA_JARS, `kafka_2.13-${VERSION}.jar`)))
    return { missing: `Kafka's jars in ${KAFKA_JARS}`, install: 'npm run services -- --fetch kafka (needs maven: apt-get install maven)' };
  return null;
}

/** Brings Kafka's jars from Maven Central (43 MB) where they are not there yet. The folder appears whole or not at all. */
export async function fetchKafkaJars(): Promise<'fetched' | 'there'> {
  if (existsSync(join(KAFKA_JARS, `kafka_2.13-${VERSION}.jar`))) return 'there';
  needProgram('mvn', 'maven');
  mkdirSync(dirname(KAFKA_JARS), { recursive: true });
  const folder = mkdtempSync(`${KAFKA_JARS}-`);
  try {
    writeFileSync(join(folder, 'pom.xml'), POM);
    const jars = join(folder, 'jars');
    await promisify(execFile)('mvn', ['-B', '-q', 'dependency:copy-dependencies', `-DoutputDirectory=${jars}`], { cwd: folder });
    rmSync(KAFKA_JARS, { recursive: true, force: true });
    renameSync(jars, KAFKA_JARS);
    return 'fetched';
  } catch (error) {
    const said = (error as { stdout?: string }).stdout ?? '';
    throw new Error(`cannot fetch Kafka from Maven Central: ${said}${String(error)}`, { cause: error });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>dev.millrace</groupId><artifactId>kafka-jars</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
`;
