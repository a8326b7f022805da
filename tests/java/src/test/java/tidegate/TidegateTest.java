package tidegate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class TidegateTest {
    private static final Duration MINUTE = Duration.ofMinutes(1);

    @Test
    void bucketAdmitsItsBurstOnceToManyThreads() throws InterruptedException {
        try (var bucket = new Tidegate.Bucket("1/h", 1000)) {
            var admitted = new AtomicInteger();
            var threads = new Thread[4];
            for (int i = 0; i < threads.length; i++) {
                threads[i] = new Thread(() -> {
                    for (int n = 0; n < 1000; n++) {
                        if (bucket.tryAcquire(1)) {
                            admitted.incrementAndGet();
                        }
                    }
                });
                threads[i].start();
            }
            for (var thread : threads) {
                thread.join();
            }
            assertEquals(1000, admitted.get());
            var wait = bucket.check(1);
            assertTrue(wait.compareTo(Duration.ZERO) > 0 && wait.compareTo(Duration.ofHours(1)) <= 0, wait::toString);
        }
    }

    @Test
    void wrongArgumentsAreTold() {
        var wrong = assertThrows(IllegalArgumentException.class, () -> new Tidegate.Bucket("fast", 1));
        assertTrue(wrong.getMessage().contains("rate"), wrong::getMessage);
        wrong = assertThrows(IllegalArgumentException.class, () -> new Tidegate.Bucket("1/s", 0));
        assertTrue(wrong.getMessage().contains("burst"), wrong::getMessage);
        wrong = assertThrows(IllegalArgumentException.class, () -> new Tidegate.Breaker(1, Duration.ZERO));
        assertTrue(wrong.getMessage().contains("cooldown"), wrong::getMessage);
        wrong = assertThrows(IllegalArgumentException.class, () -> new Tidegate.BoundedQueue<String>(0));
        assertTrue(wrong.getMessage().contains("capacity"), wrong::getMessage);
    }

    @Test
    void breakerOpensAtItsFailuresAndClosesAfterAProbe() throws Exception {
        try (var breaker = new Tidegate.Breaker(3, Duration.ofMillis(1))) {
            for (int i = 0; i < 3; i++) {
                assertThrows(IOException.class, () -> breaker.call(() -> { throw new IOException("down"); }));
            }
            String answer = null;
            var deadline = System.nanoTime() + MINUTE.toNanos();
            while (answer == null && System.nanoTime() < deadline) {
                try {
                    answer = breaker.call(() -> "paid");
                } catch (Tidegate.CircuitOpenException open) {
                    assertTrue(open.retryAfter.compareTo(MINUTE) < 0);
                }
            }
            assertEquals("paid", answer);
            assertEquals("again", breaker.call(() -> "again"));
        }
    }

    @Test
    void openBreakerDoesNotCall() throws Exception {
        try (var breaker = new Tidegate.Breaker(1, MINUTE)) {
            assertThrows(IOException.class, () -> breaker.call(() -> { throw new IOException("down"); }));
            var called = new AtomicInteger();
            var open = assertThrows(Tidegate.CircuitOpenException.class, () -> breaker.call(called::incrementAndGet));
            assertEquals(0, called.get());
            assertTrue(open.retryAfter.compareTo(Duration.ofSeconds(50)) > 0, open.retryAfter::toString);
        }
    }

    @Test
    void queueKeepsWhatItAcceptedInOrder() {
        try (var queue = new Tidegate.BoundedQueue<String>(10)) {
            int accepted = 0;
            for (int i = 0; i < 20; i++) {
                accepted += queue.tryPush("order " + i) ? 1 : 0;
            }
            assertEquals(8, accepted); // the high watermark
            queue.shut();
            assertFalse(queue.tryPush("late"));
            for (int i = 0; i < accepted; i++) {
                assertEquals(Optional.of("order " + i), queue.pop(MINUTE));
            }
            assertEquals(Optional.empty(), queue.pop(MINUTE));
        }
    }

    @Test
    void versionIsThatOfTheLibrary() {
        assertTrue(Tidegate.version().matches("\\d+\\.\\d+\\.\\d+.*"), Tidegate::version);
    }
}
