package bench;

import bench.Contenders.Body;
import com.netflix.concurrency.limits.limit.Gradient2Limit;
import com.netflix.concurrency.limits.limit.VegasLimit;
import com.netflix.concurrency.limits.limit.WindowedLimit;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.StringJoiner;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;

/** The Java rows, one JSON object a line: each contender is timed once a round, in turn, after all are compiled. */
public final class Main {
    private static final double BATCH_NS = 2_000_000;
    private static volatile long sink;

    private Main() {}

    public static void main(String[] arguments) throws Exception {
        int rounds = List.of(arguments).contains("--quick") ? 31 : 151;
        Duration calls = Duration.ZERO;
        Duration seconds = Duration.ofSeconds(10);
        double[] mostOfBreaker = {1, 0.7};
        for (int threads = 1; threads <= 2; threads++) {
            Map<String, Body> buckets = new LinkedHashMap<>();
            buckets.put("tidegate", Contenders.tidegateBucket());
            buckets.put("Bucket4j", Contenders.bucket4j());
            buckets.put("Guava", Contenders.guava());
            buckets.put("Resilience4j", Contenders.resilience4jLimiter());
            measure("bucket over jnr-ffi, " + threads + " thread(s), admit", threads, "Bucket4j", 0.8, buckets, rounds);

            for (Duration window : List.of(calls, seconds)) {
                Map<String, Body> breakers = new LinkedHashMap<>();
                breakers.put("tidegate", Contenders.tidegateBreaker(window));
                breakers.put("Resilience4j", Contenders.resilience4jBreaker(window));
                String kind = window.isZero() ? "count window" : "time window";
                String work = "breaker over jnr-ffi, " + kind + ", " + threads + " thread(s)";
                measure(work, threads, "Resilience4j", mostOfBreaker[threads - 1], breakers, rounds);
            }

            Map<String, Body> adaptive = new LinkedHashMap<>();
            adaptive.put("tidegate", Contenders.tidegateAdaptive());
            adaptive.put("Netflix, Gradient2 in windows", Contenders.netflix(WindowedLimit.newBuilder().build(Gradient2Limit.newDefault())));
            adaptive.put("Netflix, Vegas per sample", Contenders.netflix(VegasLimit.newDefault()));
            String work = "adaptive limit called from C, acquire + success, " + threads + " thread(s)";
            measure(work, threads, "Netflix, Gradient2 in windows", 0.25, adaptive, rounds);
        }
    }

    private static void measure(String work, int threads, String peer, double most, Map<String, Body> contenders, int rounds)
            throws Exception {
        System.err.println("  " + work);
        List<String> names = new ArrayList<>(contenders.keySet());
        Map<String, Integer> times = new LinkedHashMap<>();
        Map<String, List<Double>> ns = new LinkedHashMap<>();
        for (String name : names) {
            Body body = contenders.get(name);
            for (long until = System.nanoTime() + 300_000_000L; System.nanoTime() < until; ) {
                sink += body.run(10_000);
            }
            double each = timed(body, 10_000, threads) * threads;
            times.put(name, (int) Math.max(1000, BATCH_NS / each));
            ns.put(name, new ArrayList<>());
        }
        for (int round = 0; round < rounds; round++) {
            for (int turn = 0; turn < names.size(); turn++) {
                String name = names.get((round + turn) % names.size());
                ns.get(name).add(timed(contenders.get(name), times.get(name), threads));
            }
        }
        StringJoiner samples = new StringJoiner(",");
        for (String name : names) {
            StringJoiner values = new StringJoiner(",", "\"" + name + "\":[", "]");
            ns.get(name).forEach(value -> values.add(String.format(Locale.ROOT, "%.2f", value)));
            samples.add(values.toString());
        }
        System.out.printf(
                Locale.ROOT,
                "{\"binding\":\"java\",\"work\":\"%s\",\"tidegate\":\"tidegate\",\"floor\":null,\"targets\":[{\"of\":\"%s\",\"most\":%s}],\"ns\":{%s}}%n",
                work, peer, most, samples);
    }

    /** Nanoseconds an operation: from the first start to the last end, over the operations of all threads. */
    private static double timed(Body body, int times, int threads) throws Exception {
        CyclicBarrier barrier = new CyclicBarrier(threads);
        long[] starts = new long[threads];
        long[] ends = new long[threads];
        List<Thread> all = new ArrayList<>();
        for (int index = 0; index < threads; index++) {
            int self = index;
            Thread thread =
                    new Thread(
                            () -> {
                                sink += body.run(times / 16 + 1);
                                try {
                                    barrier.await();
                                } catch (InterruptedException | BrokenBarrierException broken) {
                                    throw new IllegalStateException(broken);
                                }
                                starts[self] = System.nanoTime();
                                long done = body.run(times);
                                ends[self] = System.nanoTime();
                                Contenders.must(done == times, "every call admitted");
                            });
            all.add(thread);
            thread.start();
        }
        for (Thread thread : all) {
            thread.join();
        }
        long start = Long.MAX_VALUE;
        long end = Long.MIN_VALUE;
        for (int index = 0; index < threads; index++) {
            start = Math.min(start, starts[index]);
            end = Math.max(end, ends[index]);
        }
        return (double) (end - start) / ((double) times * threads);
    }
}
