# frozen_string_literal: true

# Knows requests that Brasa made. Copy this file into your application; it needs no gems.
#
#   job = BrasaHttp.verify([ENV.fetch("BRASA_SECRET")], request.headers, request.raw_post)
#
# The body is what came over the wire, before anybody parsed it. What comes back is the id of the job. It is the same in
# every attempt: what was done under it is not to be done again. More: docs/jobs.md.

require "openssl"

module BrasaHttp
  # Brasa did not make it, or made it too long ago.
  class Refused < StandardError; end

  # The id of the job that a request is about; raises `Refused`. While secrets change, name both. `headers` is whatever
  # gives a header by its name, as `request.headers` of Rails does.
  def self.verify(secrets, headers, body, tolerance: 300, now: Time.now.to_i)
    job, signature = headers["Idempotency-Key"].to_s, headers["Brasa-Signature"].to_s
    first, *others = signature.split(",")
    seconds = first.to_s[/\At=(\d{1,12})\z/, 1]
    raise Refused, "it is not signed" if job.empty? || seconds.nil?
    raise Refused, "it was signed too long ago, or clocks differ" if (now - seconds.to_i).abs > tolerance

    text = "#{seconds}.#{job}.".b + body.b
    wanted = secrets.map { |secret| OpenSSL::HMAC.hexdigest("SHA256", secret, text) }
    given = others.filter_map { |part| part[/\Av1=(\h{64})\z/, 1] }
    # Every pair is compared, and each in the same time, so that nobody learns from how long it takes.
    fitting = wanted.product(given).map { |one, other| OpenSSL.fixed_length_secure_compare(one, other) }
    raise Refused, "the signature does not fit" if fitting.none?

    job
  end
end
