package tidegate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import tidegate.RateLimiter.Algorithm;

class RateLimiterTest {
    private static final Duration HOUR = Duration.ofHours(1);

    @Test
    void eachKeyHasItsOwnLimit() {
        try (var users = new RateLimiter("2/h")) {
            for (var key : List.of("ann", "", "a\0b", "\u00fc\ud83d\ude00", "k".repeat(1 << 20))) {
                var first = users.check(key, 1);
                assertTrue(first.allowed());
                assertEquals(2, first.limit());
                assertEquals(1, first.remaining());
                assertTrue(users.tryAcquire(key, 1));
                var denied = users.check(key, 1);
                assertFalse(denied.allowed());
                assertTrue(denied.retryAfter().compareTo(Duration.ZERO) > 0 && denied.retryAfter().compareTo(HOUR) <= 0, denied::toString);
            }
            users.refund("ann", 1);
            assertTrue(users.tryAcquire("ann", 1));
            assertFalse(users.tryAcquire("ann", 1));
            users.reset("ann");
            assertTrue(users.tryAcquire("ann", 2));
            users.penalize("ben", HOUR);
            assertFalse(users.tryAcquire("ben", 1));
        }
    }

    @Test
    void manyThreadsShareAKeysLimit() throws InterruptedException {
        try (var users = new RateLimiter("1000/h")) {
            var admitted = new AtomicIntegerArray(2);
            var threads = new Thread[4];
            for (int i = 0; i < threads.length; i++) {
                threads[i] = new Thread(() -> {
                    for (int n = 0; n < 2000; n++) {
                        if (users.tryAcquire("user " + n % 2, 1)) {
                            admitted.incrementAndGet(n % 2);
                        }
                    }
                });
                threads[i].start();
            }
            for (var thread : threads) {
                thread.join();
            }
            assertEquals(1000, admitted.get(0));
            assertEquals(1000, admitted.get(1));
        }
    }

    @Test
    void everyAlgorithmAdmitsItsLimit() {
        for (var algorithm : Algorithm.values()) {
            try (var users = new RateLimiter("3/h", algorithm, 1000)) {
                for (int i = 0; i < 3; i++) {
                    var decision = users.check("ann", 1);
                    assertTrue(decision.allowed(), () -> algorithm + " " + decision);
                    assertEquals(algorithm == Algorithm.LEAKY_BUCKET && i > 0, !decision.delay().isZero(), () -> algorithm + " " + decision);
                }
                assertFalse(users.check("ann", 1).allowed(), algorithm::toString);
            }
        }
    }

    @Test
    void aSetTakesAllOrNothing() {
        try (var users = new RateLimiter("2/h");
                var addresses = new RateLimiter("3/h");
                var everyone = new Tidegate.Bucket("4/h", 4);
                var limits = new LimitSet(
                        new LimitSet.Member("user", users), new LimitSet.Member("address", addresses), new LimitSet.Member("everyone", everyone))) {
            assertTrue(limits.check(2, "ann", "home").decision().allowed());
            assertEquals(Optional.of("user"), limits.check(1, "ann", "home").deniedBy());
            assertEquals(Optional.of("address"), limits.check(2, "ben", "home").deniedBy());
            var last = limits.check(2, "", "\0");
            assertTrue(last.decision().allowed());
            assertEquals(Optional.empty(), last.deniedBy());
            assertFalse(everyone.tryAcquire(1)); // the denials took nothing, the admissions all four
            assertTrue(users.tryAcquire("ben", 2));
        }
    }

    @Test
    void wrongArgumentsAreTold() {
        var wrong = assertThrows(IllegalArgumentException.class, () -> new RateLimiter("fast"));
        assertTrue(wrong.getMessage().contains("rate"), wrong::getMessage);
        wrong = assertThrows(IllegalArgumentException.class, () -> new RateLimiter("1/s", Algorithm.TOKEN_BUCKET, 0));
        assertTrue(wrong.getMessage().contains("max_keys"), wrong::getMessage);
        wrong = assertThrows(IllegalArgumentException.class, LimitSet::new);
        assertTrue(wrong.getMessage().contains("members"), wrong::getMessage);
        try (var users = new RateLimiter("1/h"); var limits = new LimitSet(new LimitSet.Member("user", users))) {
            wrong = assertThrows(IllegalArgumentException.class, () -> limits.check(1));
            assertTrue(wrong.getMessage().contains("keys"), wrong::getMessage);
        }
    }
}
